"""Budgets and rate limits: reserved before a call, settled after it, never overrun."""
