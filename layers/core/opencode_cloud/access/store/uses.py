"""When keys were last used: rows ``key_use#<key>`` of the table ``sessions``.

Beside the database, which is to sleep while only model calls and shares go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds

RESOLUTION_SECONDS = 300
"""A busy key costs one write in so many seconds and execution environment, not one each time."""

KEPT_SECONDS = 400 * DAY_SECONDS
BATCH = 100
REMEMBERED = 10_000


class KeyUses:
    """Notes uses of keys, and knows when the last was."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb = aws.dynamodb()
        self._noted: dict[str, int] = {}

    def note(self, key: str) -> None:
        """Note that a key is used now, unless that was noted here within ``RESOLUTION_SECONDS``."""
        now = now_seconds()
        if now - self._noted.get(key, 0) < RESOLUTION_SECONDS:
            return
        if len(self._noted) >= REMEMBERED:
            self._noted.clear()
        self._noted[key] = now
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"pk": {"S": f"key_use#{key}"}},
            UpdateExpression="SET used_at = :now, #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={":now": {"N": str(now)}, ":ttl": {"N": str(now + KEPT_SECONDS)}},
        )

    def of(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return when keys were last used, in seconds since the epoch; keys that never were are left out."""
        found: dict[str, int] = {}
        for start in range(0, len(keys), BATCH):
            pending: Any = {
                self._table: {"Keys": [{"pk": {"S": f"key_use#{key}"}} for key in keys[start : start + BATCH]]}
            }
            while pending:
                answer: Any = self._dynamodb.batch_get_item(RequestItems=pending)
                for row in answer["Responses"].get(self._table, []):
                    found[row["pk"]["S"].partition("#")[2]] = int(row["used_at"]["N"])
                pending = answer.get("UnprocessedKeys")
        return found
