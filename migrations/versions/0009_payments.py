"""Customers, top-ups and events of Stripe."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "payment_customers",
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("customer_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_payment_customers")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_payment_customers_customer_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.String(length=255, collation="utf8mb4_bin"), nullable=False),
        sa.Column("type", sa.String(length=64, collation="utf8mb4_bin"), nullable=False),
        sa.Column("object_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Enum("applied", "kept", "ignored", name="state"), nullable=False),
        sa.Column("reason", sa.String(length=64, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("applied_by", sa.Enum("webhook", "sweep", "replay", name="applied_by"), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False, comment="when Stripe made it"),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_events")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_stripe_events_state_created_at"), "stripe_events", ["state", "created_at"], unique=False)
    op.create_table(
        "top_ups",
        sa.Column("id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3, collation="utf8mb4_bin"), nullable=False),
        sa.Column("state", sa.Enum("open", "pending", "paid", "failed", "expired", name="state"), nullable=False),
        sa.Column("reason", sa.String(length=64, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("session_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("payment_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("created_by", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_top_ups")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_top_ups_state_created_at"), "top_ups", ["state", "created_at"], unique=False)
    op.create_index(op.f("ix_top_ups_workspace_id_created_at"), "top_ups", ["workspace_id", "created_at"], unique=False)
