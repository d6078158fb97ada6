"""Searches of operators in MySQL."""
