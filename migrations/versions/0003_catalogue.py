"""Versions of the catalogue."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "catalogue_prices",
        sa.Column(
            "version",
            sa.String(length=128, collation="utf8mb4_bin"),
            nullable=False,
            comment="the name in usage events",
        ),
        sa.Column("model", sa.String(length=80, collation="utf8mb4_bin"), nullable=False),
        sa.Column("since", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("price", sa.JSON(), nullable=False, comment="micro-cents per million tokens"),
        sa.Column("published_in", sa.Integer(), nullable=False, comment="the first version with this content"),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_catalogue_prices")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_catalogue_prices_model_since"), "catalogue_prices", ["model", "since"], unique=False)
    op.create_table(
        "catalogue_versions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", mysql.MEDIUMTEXT(), nullable=False, comment="JSON as it was written, in its order"),
        sa.Column("comment", sa.String(length=255), server_default="", nullable=False),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_catalogue_versions")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
