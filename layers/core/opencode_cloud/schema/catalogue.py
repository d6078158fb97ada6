"""Tables of the catalogue: every version is kept, and every price that was ever published."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Integer, String
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from opencode_cloud.kit.sql import Moment, table

catalogue_versions = table(
    "catalogue_versions",
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("document", MEDIUMTEXT, nullable=False, comment="JSON as it was written, in its order"),
    Column("comment", String(255), nullable=False, server_default=""),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
)
"""The highest number is in force."""

catalogue_prices = table(
    "catalogue_prices",
    Column("version", String(128, collation="utf8mb4_bin"), primary_key=True, comment="the name in usage events"),
    Column("model", String(80, collation="utf8mb4_bin"), nullable=False),
    Column("since", Moment, nullable=False),
    Column("price", JSON, nullable=False, comment="micro-cents per million tokens"),
    Column("published_in", Integer, nullable=False, comment="the first version with this content"),
    Index(None, "model", "since"),
)
"""A price that has begun is never changed or deleted. A future price is deleted when a version drops it."""
