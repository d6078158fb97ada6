"""OpenAI Responses: requests, answers and streams, read and written."""
