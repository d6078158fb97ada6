"""Contracts: value types, permissions and events that features exchange."""
