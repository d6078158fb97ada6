"""Sharing: a session as a log of items that one publisher writes and any number of viewers follow."""
