"""The table of the projection's versions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, SmallInteger

from opencode_cloud.kit.sql import table

projection_versions = table(
    "projection_versions",
    Column("shard", SmallInteger, primary_key=True, autoincrement=False, comment="part of the projected row's key"),
    Column("version", BigInteger, nullable=False, comment="time of the last projection of any row of the shard"),
)
"""A writer of the projection holds the lock of the row's shard while it reads the source, so versions follow the order
of the reads."""
