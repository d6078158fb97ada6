"""Second paid starts of plans."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "second_subscriptions",
        sa.Column("id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("subscription_id", sa.String(length=255, collation="utf8mb4_bin"), server_default="", nullable=False),
        sa.Column("plan_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column(
            "ended_at", mysql.DATETIME(fsp=6), nullable=True, comment="null: it is not yet canceled and paid back"
        ),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_second_subscriptions")),
        sa.UniqueConstraint("subscription_id", name=op.f("uq_second_subscriptions_subscription_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_second_subscriptions_ended_at_updated_at"),
        "second_subscriptions",
        ["ended_at", "updated_at"],
        unique=False,
    )
