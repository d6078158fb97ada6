"""Plans per seat, their invoices, what a payment bought, and coupons whose credit ends."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "plan_invoices",
        sa.Column("id", sa.String(length=255, collation="utf8mb4_bin"), nullable=False),
        sa.Column("plan_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("number", sa.String(length=64, collation="utf8mb4_bin"), nullable=False),
        sa.Column("status", sa.String(length=32, collation="utf8mb4_bin"), nullable=False),
        sa.Column("reason", sa.String(length=64, collation="utf8mb4_bin"), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("credited", sa.BigInteger(), nullable=False, comment="amount of all credit notes"),
        sa.Column("period_start", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("period_end", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("url", sa.String(length=2048, collation="utf8mb4_bin"), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False, comment="the payers were told of a failed payment"),
        sa.Column("version", sa.Integer(), nullable=False, comment="number of states of Stripe written"),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_invoices")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_plan_invoices_plan_id"), "plan_invoices", ["plan_id"], unique=False)
    op.create_index(
        op.f("ix_plan_invoices_workspace_id_created_at"), "plan_invoices", ["workspace_id", "created_at"], unique=False
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("state", sa.Enum("starting", "active", "past_due", "ended", name="state"), nullable=False),
        sa.Column(
            "live",
            sa.Boolean(),
            nullable=True,
            comment="null for a plan that has ended, so that a workspace has one that has not",
        ),
        sa.Column("seat_price", sa.BigInteger(), nullable=False, comment="for a seat and month"),
        sa.Column("seat_credit", sa.BigInteger(), nullable=False, comment="promotional credit for a seat and month"),
        sa.Column("seats", sa.Integer(), nullable=False, comment="the number at Stripe"),
        sa.Column("subscription_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("item_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("session_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False, comment="number of the checkout"),
        sa.Column(
            "changes", sa.Integer(), server_default="0", nullable=False, comment="number of changes sent to Stripe"
        ),
        sa.Column("period_start", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("period_end", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("ends_at", mysql.DATETIME(fsp=6), nullable=True, comment="null: it renews"),
        sa.Column(
            "noticed_for", mysql.DATETIME(fsp=6), nullable=True, comment="end of the period whose renewal was announced"
        ),
        sa.Column("reason", sa.String(length=64, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column(
            "version", sa.Integer(), server_default="0", nullable=False, comment="number of states of Stripe written"
        ),
        sa.Column("base_url", sa.String(length=255), nullable=False, comment="the address for links in mails"),
        sa.Column("created_by", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column(
            "tried_at", mysql.DATETIME(fsp=6), nullable=True, comment="when the card was first asked to start the plan"
        ),
        sa.Column("checked_at", mysql.DATETIME(fsp=6), nullable=True, comment="when the state was last read at Stripe"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("workspace_id", "live", name=op.f("uq_plans_workspace_id_live")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_plans_subscription_id"), "plans", ["subscription_id"], unique=False)
    op.create_index(op.f("ix_plans_workspace_id_created_at"), "plans", ["workspace_id", "created_at"], unique=False)
    op.add_column(
        "ledger_payments",
        sa.Column(
            "purpose",
            sa.Enum("credit", "plan", name="purpose"),
            server_default="credit",
            nullable=False,
            comment="what was bought; the fee of a plan is its whole price",
        ),
    )
    op.add_column(
        "coupons",
        sa.Column(
            "credit_days",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="until the credit ends; 0: it does not",
        ),
    )
