"""Storage of budgets: counters and reservations in DynamoDB, budgets and settings in MySQL.

This package exports only the stores without SQL. Functions with a database import the SQL stores directly.
"""

from opencode_cloud.budgets.store.counters import CounterStore
from opencode_cloud.budgets.store.queue import AlertQueue

__all__ = ["AlertQueue", "CounterStore"]
