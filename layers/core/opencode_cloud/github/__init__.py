"""Tokens of our GitHub App for the GitHub agent of opencode."""
