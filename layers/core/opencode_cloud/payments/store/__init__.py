"""Rows of payments in MySQL."""
