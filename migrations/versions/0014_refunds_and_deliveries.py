"""Orders of refunds, and the log of deliveries to webhooks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "payment_refunds",
        sa.Column("id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("payment_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="gross: with the share of the fee"),
        sa.Column(
            "asked", sa.BigInteger(), nullable=False, comment="the amount that was asked for; 0: all that was left"
        ),
        sa.Column("idempotency_key", sa.String(length=64, collation="utf8mb4_bin"), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column(
            "state",
            sa.Enum("proposed", "rejected", "ordered", "refused", "pending", "succeeded", "failed", name="state"),
            nullable=False,
        ),
        sa.Column("code", sa.String(length=64, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("refund_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column(
            "attempt",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="grows after a definite answer of Stripe",
        ),
        sa.Column("tried_at", mysql.DATETIME(fsp=6), comment="when the first request of this attempt was sent"),
        sa.Column("requested_by", sa.String(length=254), nullable=False),
        sa.Column("decided_by", sa.String(length=254), server_default="", nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_refunds")),
        sa.UniqueConstraint(
            "payment_id", "idempotency_key", name=op.f("uq_payment_refunds_payment_id_idempotency_key")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_payment_refunds_workspace_id_created_at"), "payment_refunds", ["workspace_id", "created_at"]
    )
    op.create_index(op.f("ix_payment_refunds_state_updated_at"), "payment_refunds", ["state", "updated_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=64, collation="utf8mb4_bin"), nullable=False, comment="the id of the message"),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("type", sa.String(length=64, collation="utf8mb4_bin"), nullable=False),
        sa.Column("body", sa.VARBINARY(length=8192), nullable=False, comment="the bytes that are signed"),
        sa.Column("state", sa.Enum("pending", "accepted", "given_up", "dropped", name="state"), nullable=False),
        sa.Column("attempts", sa.JSON(), nullable=False, comment="time and status of each"),
        sa.Column("next_at", mysql.DATETIME(fsp=6), comment="when the next attempt is due; null: none follows"),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_webhook_deliveries_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_webhook_deliveries_workspace_id_created_at"), "webhook_deliveries", ["workspace_id", "created_at"]
    )
    op.create_index(op.f("ix_webhook_deliveries_created_at"), "webhook_deliveries", ["created_at"])
