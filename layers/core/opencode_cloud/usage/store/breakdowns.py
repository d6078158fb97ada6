"""Sums of calls by one attribute alone, by day and by month: add new events, compare, and rebuild.

The database computes them, so that the rows do not pass through the function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, Table, case, func, literal, select, true, union_all
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.usage import (
    SUMS,
    usage_breakdown_days,
    usage_breakdown_months,
    usage_days,
    usage_events,
    usage_session_months,
    usage_sessions,
)
from opencode_cloud.usage.models import Breakdown, Dimension
from opencode_cloud.usage.service.rollups import month_start, next_month
from opencode_cloud.usage.store.sources import value_of

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

KEYS = ("workspace_id", "breakdown", "start", "value")
_SESSION_KEYS = ("workspace_id", "start", "session")
_MONTH = "%Y-%m-01"
_CALLS: Mapping[str, ColumnElement[Any]] = {
    "calls": func.count(),
    "first_byte_ms": func.coalesce(func.sum(usage_events.c.first_byte_ms), 0),
    "first_bytes": func.count(usage_events.c.first_byte_ms),
}
"""The sums over events that are not sums of a column of the same name."""
_STARTS: Mapping[Table, ColumnElement[Any]] = {
    usage_breakdown_days: func.date(usage_events.c.at),
    usage_breakdown_months: func.date_format(usage_events.c.at, literal(_MONTH)),
}


def add(connection: Connection, events: Sequence[str]) -> None:
    """Add the events of these ids, which the transaction has inserted."""
    column = usage_events.c
    sums = {name: _CALLS[name] if name in _CALLS else func.sum(column[name]) for name in SUMS}
    ours = column.id.in_(events)
    for table, start in _STARTS.items():
        _add(connection, table, KEYS, _broken_down(usage_events, start, sums).where(ours))
    month = _STARTS[usage_breakdown_months].label("month")
    keys = (column.workspace_id, month, column.session)
    query = select(*keys, *(sums[name].label(name) for name in SUMS)).where(ours)
    _add(connection, usage_session_months, _SESSION_KEYS, query.group_by(*keys).order_by(*keys))


def _add(connection: Connection, table: Table, keys: Sequence[str], query: Select[Any]) -> None:
    statement = insert(table).from_select([*keys, *SUMS], query)
    new = statement.inserted
    connection.execute(statement.on_duplicate_key_update({name: table.c[name] + new[name] for name in SUMS}))


class BreakdownStore:
    """The tables of breakdowns. They hold nothing that ``usage_days`` lacks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def workspaces(self, since: datetime) -> Sequence[WorkspaceId]:
        """Return the workspaces that have had calls since a day."""
        query = select(usage_days.c.workspace_id).distinct().where(usage_days.c.start >= since)
        with self._database.transaction() as connection:
            return [WorkspaceId(row) for row in connection.execute(query).scalars()]

    def stale_days(self, workspace_id: WorkspaceId, since: datetime, until: datetime) -> Sequence[datetime]:
        """Return the days of a period whose breakdowns do not add up to the rollup by day."""
        with self._database.transaction() as connection:
            expected = _by_start(connection, usage_days, workspace_id, since, until)
            found = _by_start(connection, usage_breakdown_days, workspace_id, since, until)
        return _different(expected, found)

    def stale_months(self, workspace_id: WorkspaceId, since: datetime, until: datetime) -> Sequence[datetime]:
        """Return the months, from that of ``since``, whose breakdowns do not add up to those of their days."""
        first, last = month_start(since), next_month(until - timedelta(microseconds=1))
        expected: dict[datetime, list[int]] = {}
        with self._database.transaction() as connection:
            for day, sums in _by_start(connection, usage_breakdown_days, workspace_id, first, last).items():
                so_far = expected.get(month_start(day), [0] * len(SUMS))
                expected[month_start(day)] = [a + b for a, b in zip(so_far, sums, strict=True)]
            found = _by_start(connection, usage_breakdown_months, workspace_id, first, last)
        return _different(expected, found)

    def stale_session_months(self, workspace_id: WorkspaceId, since: datetime, until: datetime) -> Sequence[datetime]:
        """Return the months, from that of ``since``, whose sums of sessions do not add up to the breakdowns."""
        first, last = month_start(since), next_month(until - timedelta(microseconds=1))
        with self._database.transaction() as connection:
            expected = _by_start(connection, usage_breakdown_months, workspace_id, first, last)
            found = _by_start(connection, usage_session_months, workspace_id, first, last)
        return _different(expected, found)

    def rebuild_day(self, workspace_id: WorkspaceId, day: datetime) -> None:
        """Replace the breakdowns of a day by the sums of the rollup by day."""
        column = usage_days.c
        query = _broken_down(usage_days, column.start, {name: func.sum(column[name]) for name in SUMS})
        query = query.where(column.workspace_id == workspace_id, column.start == day)
        with self._database.transaction() as connection:
            _lock(connection, usage_breakdown_days, workspace_id, day)
            _clear(connection, usage_breakdown_days, workspace_id, day)
            connection.execute(usage_breakdown_days.insert().from_select([*KEYS, *SUMS], query))

    def rebuild_month(self, workspace_id: WorkspaceId, month: datetime) -> None:
        """Replace the breakdowns of a month by the sums of those of its days."""
        column = usage_breakdown_days.c
        keys = (column.workspace_id, column.breakdown, literal(month).label("month"), column.value)
        query = select(*keys, *(func.sum(column[name]) for name in SUMS)).where(
            column.workspace_id == workspace_id,
            column.breakdown.in_([*Breakdown]),
            column.start >= month,
            column.start < next_month(month),
        )
        query = query.group_by(column.workspace_id, column.breakdown, column.value)
        with self._database.transaction() as connection:
            _lock(connection, usage_breakdown_months, workspace_id, month)
            _clear(connection, usage_breakdown_months, workspace_id, month)
            connection.execute(usage_breakdown_months.insert().from_select([*KEYS, *SUMS], query))

    def rebuild_session_month(self, workspace_id: WorkspaceId, month: datetime) -> None:
        """Replace the sums of sessions of a month by those of its days."""
        column, found = usage_sessions.c, usage_session_months.c
        keys = (column.workspace_id, literal(month).label("month"), column.session)
        query = select(*keys, *(func.sum(column[name]) for name in SUMS)).where(
            column.workspace_id == workspace_id, column.start >= month, column.start < next_month(month)
        )
        query = query.group_by(column.workspace_id, column.session)
        with self._database.transaction() as connection:
            _lock(connection, usage_breakdown_months, workspace_id, month)
            rows = (found.workspace_id == workspace_id, found.start == month)
            connection.execute(usage_session_months.delete().where(*rows))
            connection.execute(usage_session_months.insert().from_select([*_SESSION_KEYS, *SUMS], query))


def _values(table: Table) -> dict[str, ColumnElement[str]]:
    """Return the value of each breakdown in a table of events or a rollup."""
    return {
        each.value: literal("") if each is Breakdown.ALL else value_of(table, Dimension(each)) for each in Breakdown
    }


def _broken_down(
    table: Table, start: ColumnElement[Any], sums: Mapping[str, ColumnElement[Any]]
) -> Select[*tuple[Any, ...]]:
    """Return sums by each breakdown. The rows that the most transactions change come last.

    All transactions lock rows in this order.
    """
    names = union_all(
        *(
            select(literal(order).label("order"), literal(each.value).label("name"))
            for order, each in enumerate(Breakdown)
        )
    ).subquery()
    keys = (
        table.c.workspace_id,
        names.c.name,
        start.label("start"),
        case(_values(table), value=names.c.name).label("value"),
    )
    query = select(*keys, *(sums[name].label(name) for name in SUMS)).select_from(table.join(names, true()))
    query = query.group_by(names.c.order, *keys)
    return query.order_by(table.c.workspace_id, names.c.order, keys[2], keys[3])


def _by_start(
    connection: Connection, table: Table, workspace_id: WorkspaceId, since: datetime, until: datetime
) -> dict[datetime, list[int]]:
    """Return all sums of a workspace by day or month."""
    column = table.c
    query = select(column.start, *(func.sum(column[name]) for name in SUMS)).where(
        column.workspace_id == workspace_id, column.start >= since, column.start < until
    )
    if table in (usage_breakdown_days, usage_breakdown_months):
        query = query.where(column.breakdown == Breakdown.ALL)
    return {row[0]: [int(value) for value in row[1:]] for row in connection.execute(query.group_by(column.start))}


def _different(expected: Mapping[datetime, list[int]], found: Mapping[datetime, list[int]]) -> list[datetime]:
    return sorted(start for start in {*expected, *found} if expected.get(start) != found.get(start))


def _lock(connection: Connection, table: Table, workspace_id: WorkspaceId, start: datetime) -> None:
    """Lock the row of all calls of a day or month.

    A transaction that adds to other rows of the day or month adds to this row too. So it either has committed before
    the sums are read, or adds to the new rows.
    """
    key: dict[str, Any] = {"workspace_id": workspace_id, "breakdown": Breakdown.ALL, "start": start, "value": ""}
    statement = insert(table).values(key)
    connection.execute(statement.on_duplicate_key_update(calls=table.c.calls))


def _clear(connection: Connection, table: Table, workspace_id: WorkspaceId, start: datetime) -> None:
    # All breakdowns are named, because they come before the start in the primary key.
    rows = (table.c.workspace_id == workspace_id, table.c.breakdown.in_([*Breakdown]), table.c.start == start)
    connection.execute(table.delete().where(*rows))
