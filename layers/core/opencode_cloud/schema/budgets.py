"""Tables of budgets, grants of prepaid balance, alerts, and the workspace's settings of usage."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Enum, ForeignKey, Index, Integer, String, UniqueConstraint

from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.kit.sql import Moment, id_column, table

_SCOPES = tuple(scope.value for scope in BudgetScope if scope is not BudgetScope.SESSION)
_UNITS = tuple(unit.value for unit in BudgetUnit)
Subject = String(64, collation="utf8mb4_bin")
"""An id, or the name of a project."""
_PERIODS = tuple(period.value for period in BudgetPeriod)

budgets = table(
    "budgets",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("scope", Enum(*_SCOPES, name="scope"), nullable=False),
    Column(
        "subject_id",
        Subject,
        nullable=False,
        server_default="",
        comment="member, service account, key, project or group, else empty",
    ),
    Column("unit", Enum(*_UNITS, name="unit"), nullable=False),
    Column("period", Enum(*_PERIODS, name="period"), nullable=False),
    Column("amount", BigInteger, nullable=False, comment="the limit: micro-cents, requests or tokens"),
    Column(
        "ends",
        JSON(none_as_null=True),
        comment="parts of a balance that end, as at and amount; null: none",
    ),
    Column("alerts", Integer, nullable=False, server_default="1"),
    Column("version", Integer, nullable=False, server_default="1", comment="version of the row, its ETag"),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("workspace_id", "scope", "subject_id", "unit", "period"),
    Index(None, "subject_id"),
)
"""The used amounts are in DynamoDB. The row of scope ``balance`` is the sum of the grants."""

balance_grants = table(
    "balance_grants",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("idempotency_key", String(64, collation="utf8mb4_bin"), nullable=False),
    Column("amount", BigInteger, nullable=False, comment="micro-cents"),
    Column("reason", String(255), nullable=False),
    Column("granted_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("workspace_id", "idempotency_key"),
)
"""Append-only."""

budget_alerts = table(
    "budget_alerts",
    Column("id", String(64, collation="utf8mb4_bin"), primary_key=True, comment="id of the reached threshold"),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    id_column("budget_id", nullable=False, comment="no foreign key: the alert outlives the budget"),
    Column(
        "subject_id",
        Subject,
        nullable=False,
        server_default="",
        comment="subject of a share; empty: the whole budget",
    ),
    Column("name", String(255), nullable=False, comment="the budget's name for people"),
    Column("threshold", Integer, nullable=False, comment="percent"),
    Column("unit", Enum(*_UNITS, name="unit"), nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False, comment="the limit at that time"),
    Column("window_start", Moment, nullable=False),
    Column("resets_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("webhook_at", Moment, comment="when the webhook accepted it"),
    Index(None, "workspace_id", "created_at"),
)

budget_webhooks = table(
    "budget_webhooks",
    Column(
        "workspace_id",
        String(30, collation="utf8mb4_bin"),
        ForeignKey("workspaces.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("url", String(2048), nullable=False),
    Column("generation", Integer, nullable=False, comment="version of the derived signing secret"),
    Column("updated_by", String(254), nullable=False),
    Column("updated_at", Moment, nullable=False),
)

usage_settings = table(
    "usage_settings",
    Column(
        "workspace_id",
        String(30, collation="utf8mb4_bin"),
        ForeignKey("workspaces.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("metadata_days", Integer, nullable=False, comment="days for which metadata of calls is kept; 0: not at all"),
    Column("project_headers", JSON, comment="headers in which clients name their project; null: none"),
    Column("updated_by", String(254), nullable=False),
    Column("updated_at", Moment, nullable=False),
)
