"""Read the usage of budgets in functions without an event loop."""

from __future__ import annotations

from collections.abc import Sequence

from opencode_cloud.budgets.store import rows
from opencode_cloud.contracts.budgets import BudgetUsage
from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import batch_get


class CounterUsageStore:
    """Consistent reads of the table ``budgets``."""

    def __init__(self, budgets_table: str) -> None:
        self._table = budgets_table

    def of(self, keys: Sequence[str]) -> dict[str, BudgetUsage]:
        """Return the usage of counters, by key. A hundred counters take one round trip."""
        primary_keys = {self._table: [rows.counter_key(key) for key in keys]}
        counter_rows = batch_get(aws.dynamodb(), primary_keys)[self._table]
        return {key: BudgetUsage() for key in keys} | {row["pk"]["S"]: rows.usage(row) for row in counter_rows}
