"""Tax that Stripe computes on purchases and plans."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column(
        "top_ups",
        sa.Column("taxed", sa.Boolean(), server_default="0", nullable=False, comment="Stripe computes tax on it"),
    )
    op.add_column(
        "top_ups",
        sa.Column("tax", sa.BigInteger(), server_default="0", nullable=False, comment="as Stripe has computed it"),
    )
    op.add_column(
        "top_ups",
        sa.Column(
            "calculation_id",
            sa.String(length=255, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="Stripe's calculation of the tax of a reload",
        ),
    )
    op.add_column(
        "plans",
        sa.Column(
            "taxed", sa.Boolean(), server_default="0", nullable=False, comment="Stripe computes tax on its invoices"
        ),
    )
    op.add_column(
        "plan_invoices", sa.Column("tax", sa.BigInteger(), server_default="0", nullable=False, comment="in the total")
    )
