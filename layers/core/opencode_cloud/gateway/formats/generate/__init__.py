"""Google generateContent: requests, answers and streams, read and written."""
