"""Tables of policies and configuration documents: every version is kept, the highest counts."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Integer, String, UniqueConstraint

from opencode_cloud.kit.sql import Moment, id_column, table

policies = table(
    "policies",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("comment", String(255), nullable=False, server_default=""),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("workspace_id", "version"),
)
"""The permissions of members: providers, models, sharing, tools."""

configurations = table(
    "configurations",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column(
        "document", JSON, nullable=False, comment="an opencode configuration, validated against the client's schema"
    ),
    Column("comment", String(255), nullable=False, server_default=""),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("workspace_id", "version"),
)
"""The configuration of the workspace's clients, in addition to the output of the policy."""
