"""Policies and configuration documents with their versions, and the remote config that clients fetch."""
