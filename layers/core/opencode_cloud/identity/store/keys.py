"""The keys that sign access tokens: in KMS, and which of them signs now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencode_cloud.kit import aws, kms
from opencode_cloud.kit.clock import now_seconds

ACTIVE_FOR_SECONDS = 60
"""How long an execution environment goes on signing with the key that it found active."""


class SigningKeys:
    """The deployment's signing keys, by their place in the stack; all of them verify, one signs.

    The row ``signing`` of the table ``sessions`` names the one that signs (``key``); without it, the first does.
    """

    def __init__(self, arns: Sequence[str], sessions_table: str) -> None:
        self._arns = {key_id(arn): arn for arn in arns}
        self._table = sessions_table
        self._active = ""
        self._read_at = 0

    @property
    def ids(self) -> list[str]:
        """The ids of all keys."""
        return list(self._arns)

    def active(self) -> str:
        """Return the id of the key that signs now, at most a minute late."""
        now = now_seconds()
        if not self._active or now - self._read_at >= ACTIVE_FOR_SECONDS:
            self._active, self._read_at = self.active_now(), now
        return self._active

    def active_now(self) -> str:
        """Return the id of the key that signs, read afresh."""
        row: Any = aws.dynamodb().get_item(TableName=self._table, Key={"pk": {"S": "signing"}}).get("Item")
        named = row["key"]["S"] if row else ""
        return named if named in self._arns else next(iter(self._arns))

    def activate(self, key: str) -> None:
        """Let the key with the id ``key`` sign from now on. Raises ``KeyError`` when the deployment has no such key."""
        self._arns[key]
        aws.dynamodb().put_item(
            TableName=self._table, Item={"pk": {"S": "signing"}, "key": {"S": key}, "at": {"N": str(now_seconds())}}
        )
        self._active, self._read_at = key, now_seconds()

    def sign(self, key: str, message: bytes) -> bytes:
        """Return the RS256 signature of ``message`` by the key with the id ``key``."""
        return kms.sign_rs256(self._arns[key], message)

    def public(self, key: str) -> bytes | None:
        """Return the public half (DER) of the key with the id ``key``; None when the deployment has no such key."""
        return kms.public_key(self._arns[key]) if key in self._arns else None


def key_id(arn: str) -> str:
    """Return the last part of a key's ARN: its ``kid`` in tokens and in the JWKS."""
    return arn.rpartition("/")[2]
