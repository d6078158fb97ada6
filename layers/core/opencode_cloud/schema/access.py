"""The table of the projection's versions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, SmallInteger

from opencode_cloud.kit.sql import table

projection_versions = table(
    "projection_versions",
    Column("stripe", SmallInteger, primary_key=True, autoincrement=False, comment="of the projected row's key"),
    Column("version", BigInteger, nullable=False, comment="of the last projection of any row of the stripe"),
)
"""Who projects a row holds its stripe's lock while reading the truth: so versions are in the order of the reads."""
