"""Rendering of a share's folded items for readers: transcript, HTML page, Markdown. Pure functions."""
