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
    _widen_subjects()


def _widen_subjects() -> None:
    """Let the subject of a budget be the name of a project."""
    short, long = sa.String(length=30, collation="utf8mb4_bin"), PROJECT
    op.alter_column(
        "budgets",
        "subject_id",
        existing_type=short,
        type_=long,
        existing_nullable=False,
        existing_server_default="",
        existing_comment="member, service account or key, else empty",
        comment="member, service account, key or project, else empty",
    )
    comment = "subject of a share; empty: the whole budget"
    op.alter_column(
        "budget_alerts",
        "subject_id",
        existing_type=short,
        type_=long,
        existing_nullable=False,
        existing_server_default="",
        existing_comment=comment,
    )
    scopes = ("workspace", "member", "each_member", "service_account", "key", "balance")
    op.alter_column(
        "budgets",
        "scope",
        existing_type=sa.Enum(*scopes, name="scope"),
        type_=sa.Enum(*scopes[:-1], "project", scopes[-1], name="scope"),
        existing_nullable=False,
    )
