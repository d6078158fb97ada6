"""Where budgets are kept: counters and reservations in DynamoDB, what people decide in MySQL.

Only what the planes without SQL need is offered here; the rooms with SQL are imported by who has a database.
"""

from opencode_cloud.budgets.store.counters import CounterStore
from opencode_cloud.budgets.store.queue import AlertQueue

__all__ = ["AlertQueue", "CounterStore"]
