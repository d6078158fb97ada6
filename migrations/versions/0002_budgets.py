"""Budgets, grants of prepaid balance, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go on from 0001."""
    op.create_table(
        "balance_grants",
        sa.Column("id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64, collation="utf8mb4_bin"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="micro-cents"),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("granted_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_balance_grants_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_grants")),
        sa.UniqueConstraint(
            "workspace_id", "idempotency_key", name=op.f("uq_balance_grants_workspace_id_idempotency_key")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "budget_alerts",
        sa.Column(
            "id",
            sa.String(length=64, collation="utf8mb4_bin"),
            nullable=False,
            comment="id of the reached threshold",
        ),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column(
            "budget_id",
            sa.String(length=30, collation="utf8mb4_bin"),
            nullable=False,
            comment="no foreign key: the alert outlives the budget",
        ),
        sa.Column(
            "subject_id",
            sa.String(length=30, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="subject of a share; empty: the whole budget",
        ),
        sa.Column("name", sa.String(length=255), nullable=False, comment="the budget's name for people"),
        sa.Column("threshold", sa.Integer(), nullable=False, comment="percent"),
        sa.Column("unit", sa.Enum("cost", "requests", "tokens", name="unit"), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="the limit at that time"),
        sa.Column("window_start", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("resets_at", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("webhook_at", mysql.DATETIME(fsp=6), nullable=True, comment="when the webhook accepted it"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_budget_alerts_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_alerts")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_budget_alerts_workspace_id_created_at"), "budget_alerts", ["workspace_id", "created_at"], unique=False
    )
    op.create_table(
        "budget_webhooks",
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column(
            "generation",
            sa.Integer(),
            nullable=False,
            comment="version of the derived signing secret",
        ),
        sa.Column("updated_by", sa.String(length=254), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_budget_webhooks_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_budget_webhooks")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "budgets",
        sa.Column("id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column(
            "scope",
            sa.Enum("workspace", "member", "each_member", "service_account", "key", "balance", name="scope"),
            nullable=False,
        ),
        sa.Column(
            "subject_id",
            sa.String(length=30, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="member, service account or key, else empty",
        ),
        sa.Column("unit", sa.Enum("cost", "requests", "tokens", name="unit"), nullable=False),
        sa.Column("period", sa.Enum("minute", "hour", "day", "month", "total", name="period"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="the limit: micro-cents, requests or tokens"),
        sa.Column("alerts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False, comment="version of the row, its ETag"),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_budgets_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint(
            "workspace_id",
            "scope",
            "subject_id",
            "unit",
            "period",
            name=op.f("uq_budgets_workspace_id_scope_subject_id_unit_period"),
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_budgets_subject_id"), "budgets", ["subject_id"], unique=False)
    op.create_table(
        "usage_settings",
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column(
            "metadata_days",
            sa.Integer(),
            nullable=False,
            comment="days for which metadata of calls is kept; 0: not at all",
        ),
        sa.Column("updated_by", sa.String(length=254), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_usage_settings_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_usage_settings")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
