"""Wiring: one module for each function or family of services."""
