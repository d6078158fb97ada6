"""Policies and configuration documents, their versions, and the remote config that clients fetch."""
