"""Clients of the API that common tools generate from its document."""
