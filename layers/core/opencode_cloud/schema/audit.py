"""The table of audit entries."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, String

from opencode_cloud.kit.sql import Moment, id_column, table

audit_entries = table(
    "audit_entries",
    id_column(),
    id_column("workspace_id", comment="no foreign key: entries outlive their subjects"),
    Column("at", Moment, nullable=False),
    Column("actor_kind", String(32), nullable=False),
    id_column("actor_id", nullable=False, server_default=""),
    Column("actor_name", String(254), nullable=False, server_default=""),
    Column("credential", String(16), nullable=False),
    id_column("key_id", comment="the key that the actor used"),
    Column("action", String(64, collation="utf8mb4_bin"), nullable=False, comment="such as member.removed"),
    Column("target_kind", String(32), nullable=False),
    Column("target_id", String(64, collation="utf8mb4_bin"), nullable=False),
    Column("target_name", String(255), nullable=False, server_default=""),
    Column("before", JSON, comment="what changed, without secrets"),
    Column("after", JSON),
    Column("address", String(45), nullable=False, server_default=""),
    Column("correlation_id", String(64), nullable=False, server_default=""),
    Index(None, "workspace_id", "at"),
    Index(None, "workspace_id", "action", "at"),
    Index(None, "workspace_id", "actor_id", "at"),
)
"""Append-only: no code updates a row, and only retention deletes one."""
