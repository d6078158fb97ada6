"""Canonical addresses; what stands on whose right: makers of keys, creators, inviters; a shorter audit retention.

Nothing is deployed yet, so the code before this version does not have to work with it.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

ADDRESS = sa.String(length=254, collation="utf8mb4_bin")
ID = sa.String(length=30, collation="utf8mb4_bin")


def upgrade() -> None:
    """Go on from 0004."""
    for name in ("accounts", "logins", "invitations"):
        _add_address(name)
    # A foreign key needs none of these indexes.
    op.drop_constraint(op.f("uq_accounts_email"), "accounts", type_="unique")
    op.create_unique_constraint(op.f("uq_accounts_address"), "accounts", ["address"])
    op.create_index(op.f("ix_logins_address"), "logins", ["address"], unique=False)
    op.drop_index(op.f("ix_invitations_email"), table_name="invitations")
    op.create_index(op.f("ix_invitations_address"), "invitations", ["address"], unique=False)
    op.add_column(
        "invitations",
        sa.Column(
            "invited_by_member_id",
            ID,
            comment="their right to invite is looked up at acceptance; null for operators",
        ),
    )
    op.add_column(
        "domains",
        sa.Column("vouched_by_member_id", ID, comment="the member who last claimed, changed or verified it"),
    )
    behind = "the person behind the actor; null for operators"
    op.add_column("service_accounts", sa.Column("created_by_member_id", ID, comment=behind))
    op.add_column("keys", sa.Column("created_by_member_id", ID, comment=behind))
    op.add_column("keys", sa.Column("made_by_key_id", ID, comment="the key that made this one, which ends with it"))
    op.create_index(op.f("ix_keys_made_by_key_id"), "keys", ["made_by_key_id"], unique=False)
    op.add_column(
        "workspaces",
        sa.Column(
            "audit_retention_shortened_at",
            mysql.DATETIME(fsp=6),
            comment="the shorter retention takes effect a week later",
        ),
    )


def _add_address(name: str) -> None:
    comment = "canonical form of email"
    op.add_column(name, sa.Column("address", ADDRESS, nullable=True, comment=comment))
    # Rows of a local stage: their addresses are in ASCII.
    rows = sa.table(name, sa.column("address"), sa.column("email"))
    op.execute(rows.update().values(address=sa.func.lower(rows.c.email)))
    op.alter_column(name, "address", existing_type=ADDRESS, nullable=False, existing_comment=comment, comment=comment)
