"""Groups of members, and budgets of groups."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

ID = sa.String(length=30, collation="utf8mb4_bin")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "member_groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("workspace_id", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("models", sa.JSON(), comment="rules for models, as allow and deny; null: none"),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False, comment="version of the row, its ETag"),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("updated_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_member_groups_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_groups")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_member_groups_workspace_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("member_id", ID, nullable=False),
        sa.Column("added_by", sa.String(length=254), nullable=False),
        sa.Column("added_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["member_groups.id"],
            name=op.f("fk_group_members_group_id_member_groups"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_group_members_member_id_members"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "member_id", name=op.f("pk_group_members")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_group_members_member_id"), "group_members", ["member_id"])
    _add_scopes()


def _add_scopes() -> None:
    """Let the subject of a budget be a group."""
    scopes = ("workspace", "member", "each_member", "service_account", "key", "project", "balance")
    op.alter_column(
        "budgets",
        "scope",
        existing_type=sa.Enum(*scopes, name="scope"),
        type_=sa.Enum(*scopes, "group", "each_in_group", name="scope"),
        existing_nullable=False,
    )
    op.alter_column(
        "budgets",
        "subject_id",
        existing_type=sa.String(length=64, collation="utf8mb4_bin"),
        existing_nullable=False,
        existing_server_default="",
        existing_comment="member, service account, key or project, else empty",
        comment="member, service account, key, project or group, else empty",
    )
