"""Promotional credit with an end."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column(
        "budgets",
        sa.Column(
            "ends",
            sa.JSON(),
            nullable=True,
            comment="parts of a balance that end, as at and amount; null: none",
        ),
    )
