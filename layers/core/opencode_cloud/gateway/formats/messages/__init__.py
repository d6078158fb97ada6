"""Anthropic Messages: requests, answers and streams, read and written."""
