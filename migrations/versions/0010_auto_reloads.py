"""Automatic reloads, and the top-ups that they make."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "auto_reloads",
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False, comment="a reload begins below this balance"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("day_cap", sa.BigInteger(), comment="null: none"),
        sa.Column("month_cap", sa.BigInteger(), comment="null: none"),
        sa.Column("state", sa.Enum("idle", "charging", "action_required", "stopped", name="state"), nullable=False),
        sa.Column("reason", sa.String(length=64, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column(
            "top_up_id",
            sa.String(length=30, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="the running purchase",
        ),
        sa.Column(
            "method_id",
            sa.String(length=255, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="the card of the last attempt",
        ),
        sa.Column("next_at", mysql.DATETIME(fsp=6), comment="when the next attempt is due"),
        sa.Column("state_at", mysql.DATETIME(fsp=6), nullable=False, comment="begin of the state"),
        sa.Column("base_url", sa.String(length=255), nullable=False, comment="the address for links in mails"),
        sa.Column("updated_by", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_auto_reloads")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_auto_reloads_state_next_at"), "auto_reloads", ["state", "next_at"], unique=False)
    kind = sa.Enum("checkout", "reload", name="kind")
    op.add_column("top_ups", sa.Column("kind", kind, server_default="checkout", nullable=False))
    counted = "grows after a definite answer of Stripe"
    op.add_column("top_ups", sa.Column("attempt", sa.Integer(), server_default="0", nullable=False, comment=counted))
    sent = "when the first request of this attempt was sent"
    op.add_column("top_ups", sa.Column("tried_at", mysql.DATETIME(fsp=6), comment=sent))
