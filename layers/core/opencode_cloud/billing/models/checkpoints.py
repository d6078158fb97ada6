"""Checkpoints: signed statements of the chain's end and of all sums."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A signed text: sequence number, hash, sums by kind of account, and the digest of the checkpoint before."""

    seq: int
    text: bytes
    signature: bytes
    """RSASSA-PKCS1-v1_5 with SHA-256."""
    key_id: str
    """ARN of the KMS key."""
    created_at: datetime
