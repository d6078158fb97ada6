"""The keys that sign access tokens: all are in KMS, and a row selects the active one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencode_cloud.kit import aws, kms_signing
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import primary_key

ACTIVE_FOR_SECONDS = 60
"""How long, in seconds, an execution environment signs with the key that it last read as active."""


class SigningKeys:
    """The deployment's signing keys, in the order of the stack. All of them verify, one signs.

    The row ``signing`` of the table ``sessions`` names the active key (``key``). Without it, the first key is active.
    """

    def __init__(self, arns: Sequence[str], sessions_table: str) -> None:
        self._arns = {key_id(arn): arn for arn in arns}
        self._table = sessions_table
        self._active = ""
        self._read_at = 0

    @property
    def ids(self) -> list[str]:
        """Return the ids of all keys."""
        return list(self._arns)

    def active(self) -> str:
        """Return the id of the active key. A change is seen at most a minute late."""
        now = now_seconds()
        if not self._active or now - self._read_at >= ACTIVE_FOR_SECONDS:
            self._active, self._read_at = self.active_now(), now
        return self._active

    def active_now(self) -> str:
        """Return the id of the active key, read without the cache."""
        row: Any = aws.dynamodb().get_item(TableName=self._table, Key=primary_key("signing")).get("Item")
        named = row["key"]["S"] if row else ""
        return named if named in self._arns else next(iter(self._arns))

    def activate(self, key: str) -> None:
        """Make the key with the id ``key`` the active one. Raises ``KeyError`` when the deployment has no such key."""
        self._arns[key]
        aws.dynamodb().put_item(
            TableName=self._table, Item={"pk": {"S": "signing"}, "key": {"S": key}, "at": {"N": str(now_seconds())}}
        )
        self._active, self._read_at = key, now_seconds()

    def sign(self, key: str, message: bytes) -> bytes:
        """Return the RS256 signature of ``message`` by the key with the id ``key``."""
        return kms_signing.sign_rs256(self._arns[key], message)

    def public(self, key: str) -> bytes | None:
        """Return the public half (DER) of the key with the id ``key``; None when the deployment has no such key."""
        return kms_signing.public_key(self._arns[key]) if key in self._arns else None


def key_id(arn: str) -> str:
    """Return the last part of a key's ARN: its ``kid`` in tokens and in the JWKS."""
    return arn.rpartition("/")[2]
