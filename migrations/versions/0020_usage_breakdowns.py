"""Sums of usage by one attribute alone, by day and by month, sums of sessions by month, and indexes of rollups by day.

Releases before this one do not add to the breakdowns. The nightly comparison rebuilds days that lack their calls.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

SUMS = (
    "calls",
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_1h_tokens",
    "cost",
    "charged",
    "estimated",
    "attempts",
    "total_ms",
    "first_byte_ms",
    "first_bytes",
)
VALUES = {
    "key": "key_id",
    "caller": "CONCAT(member_id, service_account_id)",
    "project": "project",
    "agent": "agent",
    "upstream": "upstream",
    "model": "model",
    "outcome": "outcome",
    "all": "''",
}
INDEXED = {"usage_days": ("member_id", "service_account_id", "key_id", "project"), "usage_sessions": ("session",)}


def upgrade() -> None:
    """Bring the schema to this version."""
    _create("usage_breakdown_days", "start of the day, UTC")
    _create("usage_breakdown_months", "start of the month, UTC")
    _create_sessions()
    for table, columns in INDEXED.items():
        for column in columns:
            op.create_index(op.f(f"ix_{table}_workspace_id_{column}_start"), table, ["workspace_id", column, "start"])
    _fill()


def _create(name: str, start: str) -> None:
    op.create_table(
        name,
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column(
            "breakdown",
            sa.String(length=16, collation="utf8mb4_bin"),
            nullable=False,
            comment="the attribute of `value`",
        ),
        sa.Column("start", mysql.DATETIME(fsp=6), nullable=False, comment=start),
        sa.Column("value", sa.String(length=128, collation="utf8mb4_bin"), server_default="", nullable=False),
        *[sa.Column(column, sa.BigInteger(), server_default="0", nullable=False) for column in SUMS],
        sa.PrimaryKeyConstraint("workspace_id", "breakdown", "start", "value", name=op.f(f"pk_{name}")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )


def _create_sessions() -> None:
    op.create_table(
        "usage_session_months",
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("start", mysql.DATETIME(fsp=6), nullable=False, comment="start of the month, UTC"),
        sa.Column("session", sa.String(length=64, collation="utf8mb4_bin"), server_default="", nullable=False),
        *[sa.Column(column, sa.BigInteger(), server_default="0", nullable=False) for column in SUMS],
        sa.PrimaryKeyConstraint("workspace_id", "start", "session", name=op.f("pk_usage_session_months")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_index(
        "ix_usage_session_months_cost",
        "usage_session_months",
        ["workspace_id", "start", sa.text("cost DESC"), "session"],
    )


def _fill() -> None:
    """Break down the calls that the rollup by day has."""
    columns, sums = ", ".join(SUMS), ", ".join(f"SUM({column})" for column in SUMS)
    for breakdown, value in VALUES.items():
        op.execute(
            f"INSERT INTO usage_breakdown_days (workspace_id, breakdown, start, value, {columns}) "  # noqa: S608
            f"SELECT workspace_id, '{breakdown}', start, {value} AS broken, {sums} FROM usage_days "
            "GROUP BY workspace_id, start, broken"
        )
    op.execute(
        f"INSERT INTO usage_breakdown_months (workspace_id, breakdown, start, value, {columns}) "  # noqa: S608
        f"SELECT workspace_id, breakdown, DATE_FORMAT(start, '%Y-%m-01') AS month, value, {sums} "
        "FROM usage_breakdown_days GROUP BY workspace_id, breakdown, month, value"
    )
    op.execute(
        f"INSERT INTO usage_session_months (workspace_id, start, session, {columns}) "  # noqa: S608
        f"SELECT workspace_id, DATE_FORMAT(start, '%Y-%m-01') AS month, session, {sums} "
        "FROM usage_sessions GROUP BY workspace_id, month, session"
    )
