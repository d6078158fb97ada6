"""OpenAI Chat Completions: requests, answers and streams, read and written."""
