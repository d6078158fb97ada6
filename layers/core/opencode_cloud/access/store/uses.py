"""The time of the last use of each key: rows ``key_use#<key>`` of the table ``sessions``.

They are kept outside the database, so that it can pause while only model calls and shares are served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opencode_cloud.contracts.ids import KeyId
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.dynamodb import batch_get, primary_key

RESOLUTION_SECONDS = 300
"""The interval between writes for a busy key, in seconds, in each execution environment."""

KEPT_SECONDS = 400 * DAY_SECONDS
REMEMBERED = 10_000


class KeyUses:
    """Records uses of keys, and returns the time of the last."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._dynamodb = aws.dynamodb()
        self._noted: dict[str, int] = {}

    def is_due(self, key_id: KeyId) -> bool:
        """Tell whether this process recorded no use of a key within ``RESOLUTION_SECONDS``."""
        return now_seconds() - self._noted.get(key_id, 0) >= RESOLUTION_SECONDS

    def note(self, key_id: KeyId) -> None:
        """Record that a key is used now, if it is due."""
        if not self.is_due(key_id):
            return
        now = now_seconds()
        if len(self._noted) >= REMEMBERED:
            # Forgetting costs at most one extra write per key.
            self._noted.clear()
        self._noted[key_id] = now
        self._dynamodb.update_item(
            TableName=self._table,
            Key=primary_key(f"key_use#{key_id}"),
            UpdateExpression="SET used_at = :now, #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={":now": {"N": str(now)}, ":ttl": {"N": str(now + KEPT_SECONDS)}},
        )

    def of(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return when keys were last used, in seconds since the epoch. Omit keys without a recorded use."""
        primary_keys = [primary_key(f"key_use#{key}") for key in keys]
        # A display may lag by a moment, and this read costs half as much.
        rows = batch_get(self._dynamodb, {self._table: primary_keys}, consistent=False)[self._table]
        return {row["pk"]["S"].partition("#")[2]: int(row["used_at"]["N"]) for row in rows}
