"""Opencode Cloud: the library that every deployed function shares."""
