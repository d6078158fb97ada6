"""Budgets and rate limits. A call reserves its maximum before it starts, and settles its actual usage afterwards."""
