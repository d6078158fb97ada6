"""The log of deliveries to webhooks."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Enum, ForeignKey, Index, String

from opencode_cloud.kit.sql import Bytes, Moment, id_column, table

STATES = ("pending", "accepted", "given_up", "dropped")
BODY = 8192
"""Longest message, in bytes."""

webhook_deliveries = table(
    "webhook_deliveries",
    Column("id", String(64, collation="utf8mb4_bin"), primary_key=True, comment="the id of the message"),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(64, collation="utf8mb4_bin"), nullable=False),
    Column("body", Bytes(BODY), nullable=False, comment="the bytes that are signed"),
    Column("state", Enum(*STATES, name="state"), nullable=False),
    Column("attempts", JSON, nullable=False, comment="time and status of each"),
    Column("next_at", Moment, comment="when the next attempt is due; null: none follows"),
    Column("created_at", Moment, nullable=False),
    Index(None, "workspace_id", "created_at"),
    Index(None, "created_at"),
)
"""Messages to the webhook of a workspace, with their attempts. Rows older than 30 days are deleted."""
