"""Sharing: a session as a log of items with one publisher and any number of viewers."""
