"""Usage and budgets by project and by the client's program.

Nothing is deployed yet, so the code before this version does not have to work with it.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

PROJECT = sa.String(length=64, collation="utf8mb4_bin")
AGENT = sa.String(length=32, collation="utf8mb4_bin")


def upgrade() -> None:
    """Go on from 0005."""
    for name in ("usage_events", "usage_hours", "usage_days", "usage_sessions"):
        op.add_column(name, sa.Column("project", PROJECT, server_default="", nullable=False))
        op.add_column(name, sa.Column("agent", AGENT, server_default="", nullable=False))
    op.create_index(
        op.f("ix_usage_events_workspace_id_project_at"), "usage_events", ["workspace_id", "project", "at"], unique=False
    )
    op.add_column(
        "usage_settings",
        sa.Column("project_headers", sa.JSON(), comment="headers in which clients name their project; null: none"),
    )
