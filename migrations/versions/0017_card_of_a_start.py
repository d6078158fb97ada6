"""The card by which a plan is started."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column(
        "plans",
        sa.Column(
            "card_id",
            sa.String(length=255, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="the card that was first asked to start the plan",
        ),
    )
