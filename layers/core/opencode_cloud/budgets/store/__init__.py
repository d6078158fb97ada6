"""Storage of budgets: counters and reservations in DynamoDB, budgets and settings in MySQL.

This package exports only the stores without SQL. Functions with a database import the SQL stores directly.
"""

from opencode_cloud.budgets.store.alert_queue import AlertQueue
from opencode_cloud.budgets.store.counters import CounterStore

__all__ = ["AlertQueue", "CounterStore"]
