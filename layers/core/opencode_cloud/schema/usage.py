"""Tables of usage: events, rollups of them, exports, and the findings of reconciliation.

Tables have no foreign keys to workspaces: events arrive by a stream, and ten million of them must not be deleted in one
statement. :mod:`opencode_cloud.usage.service.retention` deletes the remains of a deleted workspace.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

from opencode_cloud.kit.sql import Digest, Id, Moment, id_column, table

CALL = 64
"""Longest id of a call. The id of a late settlement has a suffix."""
NAME = 128
"""Longest name of a model."""
SHORT = 64
AGENT = 32
"""Longest name of a client's program."""
COUNTER = 160
"""Longest key of a budget's counter."""


def _text(name: str, length: int) -> Column[str]:
    return Column(name, String(length, collation="utf8mb4_bin"), nullable=False, server_default="")


def _id(name: str) -> Column[str]:
    return Column(name, Id, nullable=False, server_default="")


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


TOKENS = (
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_1h_tokens",
)
"""``cache_1h_tokens`` were written to a cache that keeps them for an hour."""

usage_events = table(
    "usage_events",
    Column("id", String(CALL, collation="utf8mb4_bin"), primary_key=True),
    Column("at", Moment, nullable=False, comment="when the call arrived"),
    id_column("workspace_id", nullable=False),
    _id("member_id"),
    _id("account_id"),
    _id("service_account_id"),
    _id("key_id"),
    _text("model", NAME),
    _text("requested_model", NAME),
    _text("fallback", 16),
    _text("upstream", SHORT),
    _text("upstream_model", NAME),
    _text("format", 16),
    Column("streamed", Boolean, nullable=False),
    Column("byok", Boolean, nullable=False),
    *[_number(name) for name in TOKENS],
    Column("estimated", Boolean, nullable=False, comment="whether we counted the tokens, not the upstream"),
    _number("cost"),
    _number("charged"),
    _number("reserved"),
    _text("price", SHORT),
    Column("catalogue", Integer, nullable=False),
    Column("first_byte_ms", Integer),
    Column("total_ms", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    _text("outcome", 16),
    Column("status", Integer, nullable=False),
    _text("error", SHORT),
    _text("project", SHORT),
    _text("agent", AGENT),
    _text("session", SHORT),
    _text("request", SHORT),
    _text("correlation", SHORT),
    Column("batch", Id, nullable=False, comment="id of the transaction that wrote the row and counted it"),
    Index(None, "workspace_id", "at", "id"),
    Index(None, "workspace_id", "member_id", "at"),
    Index(None, "workspace_id", "key_id", "at"),
    Index(None, "workspace_id", "session", "at"),
    Index(None, "workspace_id", "project", "at"),
)
"""One row for each call. Append-only: no code updates a row, and only retention deletes one."""

usage_metadata = table(
    "usage_metadata",
    Column("event_id", String(CALL, collation="utf8mb4_bin"), primary_key=True),
    id_column("workspace_id", nullable=False),
    Column("at", Moment, nullable=False),
    Column("metadata", JSON, nullable=False),
    Index(None, "workspace_id", "at"),
)
"""Client, user agent and address of a call, for as long as the workspace keeps them."""

SUMS = ("calls", *TOKENS, "cost", "charged", "estimated", "attempts", "total_ms", "first_byte_ms", "first_bytes")
"""The columns that rollups sum. ``first_byte_ms`` covers the ``first_bytes`` calls that had a first byte."""


def _rollup(name: str, *more: SchemaItem) -> Table:
    return table(
        name,
        id_column("workspace_id", nullable=False),
        Column("start", Moment, nullable=False, comment="start of the hour or day, UTC"),
        Column("grouping", Digest, nullable=False, comment="SHA-256 of the columns that tell groups apart"),
        *more,
        _text("model", NAME),
        _text("upstream", SHORT),
        _id("member_id"),
        _id("service_account_id"),
        _id("key_id"),
        _text("project", SHORT),
        _text("agent", AGENT),
        Column("byok", Boolean, nullable=False),
        _text("outcome", 16),
        *[_number(column) for column in SUMS],
        PrimaryKeyConstraint("workspace_id", "start", "grouping"),
    )


def _breakdown(name: str, start: str) -> Table:
    return table(
        name,
        id_column("workspace_id", nullable=False),
        Column("breakdown", String(16, collation="utf8mb4_bin"), nullable=False, comment="the attribute of `value`"),
        Column("start", Moment, nullable=False, comment=start),
        _text("value", NAME),
        *[_number(column) for column in SUMS],
        PrimaryKeyConstraint("workspace_id", "breakdown", "start", "value"),
    )


usage_hours = _rollup("usage_hours")
usage_days = _rollup("usage_days")
for _holder in ("member_id", "service_account_id", "key_id", "project"):
    Index(None, usage_days.c.workspace_id, usage_days.c[_holder], usage_days.c.start)
usage_sessions = _rollup("usage_sessions", _text("session", SHORT))
"""One row for each day and session."""
Index(None, usage_sessions.c.workspace_id, usage_sessions.c.session, usage_sessions.c.start)
usage_breakdown_days = _breakdown("usage_breakdown_days", "start of the day, UTC")
usage_breakdown_months = _breakdown("usage_breakdown_months", "start of the month, UTC")
usage_session_months = table(
    "usage_session_months",
    id_column("workspace_id", nullable=False),
    Column("start", Moment, nullable=False, comment="start of the month, UTC"),
    _text("session", SHORT),
    *[_number(column) for column in SUMS],
    PrimaryKeyConstraint("workspace_id", "start", "session"),
)
Index(
    "ix_usage_session_months_cost",
    usage_session_months.c.workspace_id,
    usage_session_months.c.start,
    usage_session_months.c.cost.desc(),
    usage_session_months.c.session,
)
"""Sums by one attribute alone. They answer at once what would add up all groups of ``usage_days``."""

usage_counters = table(
    "usage_counters",
    Column("counter", String(COUNTER, collation="utf8mb4_bin"), primary_key=True),
    id_column("workspace_id", nullable=False),
    _number("cost"),
    _number("charged"),
    _number("tokens"),
    _number("requests"),
    Column("last_at", Moment, nullable=False, comment="when the latest call arrived"),
    Column("reconciled_at", Moment, comment="when it was last compared with the counter, if no event came since"),
    Index(None, "workspace_id"),
    Index(None, "reconciled_at", "counter"),
)
"""Sums of events by budget counter, for comparison with the counter itself."""

reconciliations = table(
    "reconciliations",
    id_column(),
    id_column("workspace_id", nullable=False),
    Column("day", String(10), nullable=False),
    Column("kind", String(32), nullable=False, comment="events, hours, days, sessions or counter"),
    Column("subject", String(COUNTER, collation="utf8mb4_bin"), nullable=False, server_default=""),
    Column("expected", JSON, nullable=False),
    Column("found", JSON, nullable=False),
    Column("repaired", Boolean, nullable=False),
    Column("found_at", Moment, nullable=False),
    Index(None, "workspace_id", "day"),
)
"""One row for each drift that was found."""

FORMATS = ("csv", "parquet")
usage_exports = table(
    "usage_exports",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("period", String(24, collation="utf8mb4_bin"), comment="a scheduled export: daily-2026-11-24"),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("format", Enum(*FORMATS, name="format", native_enum=True), nullable=False),
    Column("state", Enum("queued", "done", "failed", name="state", native_enum=True), nullable=False),
    Column("files", JSON, nullable=False, comment="list of name, events and bytes, in order"),
    Column("after_at", Moment, comment="arrival of the first event of the next file"),
    Column("after_id", String(CALL, collation="utf8mb4_bin"), comment="id of the last written event"),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("finished_at", Moment),
    UniqueConstraint("workspace_id", "period", "format"),
    Index(None, "workspace_id", "created_at"),
)

usage_export_schedules = table(
    "usage_export_schedules",
    Column("workspace_id", Id, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("every", Enum("daily", "weekly", "monthly", name="every", native_enum=True), nullable=False),
    Column("format", Enum(*FORMATS, name="format", native_enum=True), nullable=False),
    Column("changed_by", String(254), nullable=False),
    Column("changed_at", Moment, nullable=False),
)
