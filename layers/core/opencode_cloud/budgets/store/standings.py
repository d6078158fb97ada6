"""Where budgets stand, read for people: from functions that are not on an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencode_cloud.budgets.store import rows
from opencode_cloud.contracts.budgets import Standing
from opencode_cloud.kit import aws

_BATCH = 100


class StandingStore:
    """Reads of the table ``budgets``, consistent."""

    def __init__(self, budgets_table: str) -> None:
        self._table = budgets_table

    def of(self, keys: Sequence[str]) -> dict[str, Standing]:
        """Return how much of counters is taken, by key; a hundred are one round trip."""
        found = {key: Standing() for key in keys}
        for start in range(0, len(keys), _BATCH):
            wanted = [rows.counter_key(key) for key in keys[start : start + _BATCH]]
            pending: Any = {self._table: {"Keys": wanted, "ConsistentRead": True}}
            while pending:
                answer: Any = aws.dynamodb().batch_get_item(RequestItems=pending)
                found |= {row["pk"]["S"]: rows.standing(row) for row in answer["Responses"].get(self._table, [])}
                pending = answer.get("UnprocessedKeys")
        return found
