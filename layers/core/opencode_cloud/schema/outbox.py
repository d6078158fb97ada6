"""The outbox: the messages that a committed transaction promised to send to the other planes."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, String

from opencode_cloud.kit.sql import Moment, id_column, table

outbox = table(
    "outbox",
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    id_column("transaction_id", nullable=False),
    Column("topic", String(32, collation="utf8mb4_bin"), nullable=False, comment="workspace, member, key, ... or mail"),
    Column("subject", String(64, collation="utf8mb4_bin"), nullable=False, comment="id of the row to project"),
    Column("payload", JSON, comment="facts that the row does not hold, such as the workspace of a deleted key"),
    Column("created_at", Moment, nullable=False),
    Column("relayed_at", Moment),
    Index(None, "transaction_id"),
    Index(None, "relayed_at", "id"),
)
