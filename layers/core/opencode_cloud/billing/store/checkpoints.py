"""Checkpoints in MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from opencode_cloud.billing.models.checkpoints import Checkpoint
from opencode_cloud.schema.billing import ledger_checkpoints

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class CheckpointStore:
    """The table ``ledger_checkpoints``."""

    def last(self, connection: Connection) -> Checkpoint | None:
        """Return the latest checkpoint; None if there is none."""
        query = select(ledger_checkpoints).order_by(ledger_checkpoints.c.seq.desc()).limit(1)
        row = connection.execute(query).mappings().first()
        return None if row is None else Checkpoint(**{name: row[name] for name in Checkpoint.__struct_fields__})

    def all(self, connection: Connection) -> list[Checkpoint]:
        """Return all checkpoints, in order."""
        rows = connection.execute(select(ledger_checkpoints).order_by(ledger_checkpoints.c.seq)).mappings()
        return [Checkpoint(**{name: row[name] for name in Checkpoint.__struct_fields__}) for row in rows]

    def add(self, connection: Connection, checkpoint: Checkpoint) -> None:
        """Write a checkpoint."""
        connection.execute(ledger_checkpoints.insert(), msgspec.structs.asdict(checkpoint))
