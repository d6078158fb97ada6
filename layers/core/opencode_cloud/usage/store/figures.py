"""Read rollups: totals and series of a workspace. The cost does not depend on the number of events.

A question about one attribute alone is answered by breakdowns, others by the rollups that tell all attributes apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.usage import (
    SUMS,
    usage_breakdown_days,
    usage_breakdown_months,
    usage_days,
    usage_hours,
    usage_sessions,
)
from opencode_cloud.schema.workspaces import group_members, member_groups, members, service_accounts
from opencode_cloud.usage.models import Breakdown, Dimension, Interval, Selection, Sums, UsageLine
from opencode_cloud.usage.service.rollups import day_start, month_start, next_month

if TYPE_CHECKING:
    from sqlalchemy import Subquery

    from opencode_cloud.kit.sql import Database

_COLUMNS: Mapping[Dimension, str] = {
    Dimension.MODEL: "model",
    Dimension.MEMBER: "member_id",
    Dimension.SERVICE_ACCOUNT: "service_account_id",
    Dimension.KEY: "key_id",
    Dimension.PROJECT: "project",
    Dimension.AGENT: "agent",
    Dimension.SESSION: "session",
    Dimension.UPSTREAM: "upstream",
    Dimension.OUTCOME: "outcome",
}
_BREAKDOWNS: Mapping[Dimension, Breakdown] = {
    Dimension.MODEL: Breakdown.MODEL,
    Dimension.MEMBER: Breakdown.CALLER,
    Dimension.SERVICE_ACCOUNT: Breakdown.CALLER,
    Dimension.CALLER: Breakdown.CALLER,
    Dimension.KEY: Breakdown.KEY,
    Dimension.PROJECT: Breakdown.PROJECT,
    Dimension.AGENT: Breakdown.AGENT,
    Dimension.UPSTREAM: Breakdown.UPSTREAM,
    Dimension.OUTCOME: Breakdown.OUTCOME,
}
_KINDS = {Dimension.MEMBER: "mem_", Dimension.SERVICE_ACCOUNT: "svc_"}
"""The beginning of the ids of the callers that a dimension tells apart."""
_FORMS = {Interval.HOUR: "%Y-%m-%d %H:00:00", Interval.DAY: "%Y-%m-%d 00:00:00", Interval.MONTH: "%Y-%m-01 00:00:00"}
FEW = 50
"""The most members whose rows of breakdowns are read one by one."""
_BROKEN_DOWN = (usage_breakdown_days, usage_breakdown_months)
_DAY = timedelta(days=1)


def value_of(table: Table, dimension: Dimension) -> ColumnElement[str]:
    """Return the column of a dimension in a table of events, a rollup or a breakdown."""
    if table in _BROKEN_DOWN:
        return _caller(table.c.value, _KINDS[dimension]) if dimension in _KINDS else table.c.value
    if dimension is Dimension.CALLER:
        # At most one of the two is set.
        return func.concat(table.c.member_id, table.c.service_account_id)
    return table.c[_COLUMNS[dimension]]


def selected(table: Table, selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions of a selection, except its period, on a table of events, a rollup or a breakdown."""
    conditions = [_is(table, dimension, value) for dimension, value in selection.only.items()]
    if selection.byok is not None:
        conditions.append(table.c.byok == selection.byok)
    member_id = table.c.value if table in _BROKEN_DOWN else table.c.member_id
    if selection.member_group:
        inside = select(group_members.c.member_id).where(group_members.c.group_id == selection.member_group)
        conditions.append(member_id.in_(inside))
    if selection.members:
        conditions.append(member_id.in_(selection.members))
    return conditions


def _is(table: Table, dimension: Dimension, value: str) -> ColumnElement[bool]:
    """Return the condition that a dimension has a value, in a form for which an index serves."""
    if table in _BROKEN_DOWN:
        same = value_of(table, dimension) == value
        return and_(same, table.c.value == value) if value else same
    if dimension is Dimension.CALLER and value:
        return or_(table.c.member_id == value, table.c.service_account_id == value)
    return value_of(table, dimension) == value


def _caller(value: ColumnElement[str], kind: str) -> ColumnElement[str]:
    """Return ids of callers of one kind, and the empty text for others."""
    return case((func.left(value, len(kind)) == kind, value), else_="")


class Figures:
    """Reads sums over the calls of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def total(self, workspace_id: WorkspaceId, selection: Selection) -> Sums:
        """Return sums over all selected calls."""
        source = _source(workspace_id, selection, None, None)
        with self._database.transaction() as connection:
            row = connection.execute(select(*(func.coalesce(total, 0).label(name) for name, total in _sums(source))))
            return _line(row.mappings().one()).sums

    def groups(
        self, workspace_id: WorkspaceId, selection: Selection, by: Dimension, after: tuple[int, str] | None, limit: int
    ) -> Sequence[UsageLine]:
        """Return sums by group that follow the key ``after`` (cost, group), the most expensive group first."""
        source = _source(workspace_id, selection, None, by)
        cost = func.sum(source.c.cost)
        query = select(source.c.group, *(total.label(name) for name, total in _sums(source))).group_by(source.c.group)
        if after is not None:
            query = query.having(or_(cost < after[0], and_(cost == after[0], source.c.group > after[1])))
        return self._lines(query.order_by(cost.desc(), source.c.group).limit(limit))

    def series(
        self,
        workspace_id: WorkspaceId,
        selection: Selection,
        interval: Interval,
        by: Dimension | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[UsageLine]:
        """Return sums by interval, and by group if given, that follow ``after`` (start, group), the earliest first.

        Intervals without calls are left out.
        """
        source = _source(workspace_id, selection, interval, by)
        start = func.date_format(source.c.start, literal(_FORMS[interval])).label("start")
        keys_: list[ColumnElement[Any]] = [start] if by is None else [start, source.c.group]
        query = select(*keys_, *(total.label(name) for name, total in _sums(source))).group_by(*keys_)
        if after is not None:
            last = after[0].isoformat(" ", "seconds")
            follows = and_(start == last, source.c.group > after[1]) if by is not None else false()
            query = query.where(or_(start > last, follows))
        return self._lines(query.order_by(*keys_).limit(limit))

    def names(self, by: Dimension, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the display names of members, service accounts and keys; deleted ones have none."""
        if not ids or by not in _NAMES:
            return {}
        with self._database.transaction() as connection:
            return {
                row.id: row.name
                for query in _NAMES[by]
                for row in connection.execute(query.where(query.selected_columns.id.in_(ids)))
            }

    def groups_of_members(self, workspace_id: WorkspaceId, wanted: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the names of the present groups of each of these members who is in one, in the order of names."""
        query = (
            select(group_members.c.member_id, member_groups.c.name)
            .join(member_groups, member_groups.c.id == group_members.c.group_id)
            .where(member_groups.c.workspace_id == workspace_id, group_members.c.member_id.in_(wanted))
        )
        found: dict[str, list[str]] = {}
        with self._database.transaction() as connection:
            for row in connection.execute(query.order_by(member_groups.c.name)):
                found.setdefault(row.member_id, []).append(row.name)
        return found

    def _lines(self, query: Select[Any]) -> Sequence[UsageLine]:
        with self._database.transaction() as connection:
            return [_line(row) for row in connection.execute(query).mappings()]


_MEMBERS = select(members.c.id, accounts.c.email.label("name")).join(accounts, accounts.c.id == members.c.account_id)
_SERVICE_ACCOUNTS = select(service_accounts.c.id, service_accounts.c.name)
_NAMES: Mapping[Dimension, tuple[Select[Any, Any], ...]] = {
    Dimension.MEMBER: (_MEMBERS,),
    Dimension.SERVICE_ACCOUNT: (_SERVICE_ACCOUNTS,),
    Dimension.CALLER: (_MEMBERS, _SERVICE_ACCOUNTS),
    Dimension.KEY: (select(keys.c.id, keys.c.name),),
}


def _source(
    workspace_id: WorkspaceId, selection: Selection, interval: Interval | None, by: Dimension | None
) -> Subquery:
    """Return sums of the rollups of the selected calls, from the longest spans that fit into the period."""
    breakdown = _breakdown_of(selection, by)
    pieces = _pieces(selection, interval, breakdown, sessions=by is Dimension.SESSION)
    if len(pieces) == 1:
        # The database adds such rows up once. Rows of several tables are added up for each table first.
        return _part(*pieces[0], workspace_id, selection, interval, by, breakdown, added_up=False).subquery()
    parts = [_part(*piece, workspace_id, selection, interval, by, breakdown, added_up=True) for piece in pieces]
    return union_all(*parts).subquery()


def _breakdown_of(selection: Selection, by: Dimension | None) -> Breakdown | None:
    """Return the breakdown that tells apart what a question does; None if the question needs more than one."""
    asked = {*selection.only} | ({by} if by is not None else set())
    if selection.member_group or selection.members:
        asked.add(Dimension.MEMBER)
    if selection.byok is not None or Dimension.SESSION in asked:
        return None
    breakdowns = {_BREAKDOWNS[dimension] for dimension in asked} or {Breakdown.ALL}
    return breakdowns.pop() if len(breakdowns) == 1 else None


def _pieces(
    selection: Selection, interval: Interval | None, breakdown: Breakdown | None, *, sessions: bool
) -> list[tuple[Table, datetime, datetime]]:
    """Return the tables that hold the calls of a period, with the part of the period to read from each."""
    since, until = selection.since, selection.until
    if sessions or Dimension.SESSION in selection.only:
        return [(usage_sessions, since, until)]
    if interval is Interval.HOUR:
        return [(usage_hours, since, until)]
    days = usage_days if breakdown is None else usage_breakdown_days
    pieces = _around(usage_hours, days, since, until, day_start, _next_day)
    if breakdown is None or interval is Interval.DAY:
        return pieces
    return [
        piece
        for table, first, last in pieces
        for piece in (
            [(table, first, last)]
            if table is usage_hours
            else _around(table, usage_breakdown_months, first, last, month_start, next_month)
        )
    ]


def _around(
    short: Table,
    long: Table,
    since: datetime,
    until: datetime,
    start: Callable[[datetime], datetime],
    following: Callable[[datetime], datetime],
) -> list[tuple[Table, datetime, datetime]]:
    """Return the whole long spans of a period with their table, and the rest with the table of short ones."""
    first = since if start(since) == since else following(since)
    last = start(until)
    if first >= last:
        return [(short, since, until)]
    pieces = [(short, since, first), (long, first, last), (short, last, until)]
    return [piece for piece in pieces if piece[1] < piece[2]]


def _next_day(at: datetime) -> datetime:
    return day_start(at) + _DAY


def _part(
    table: Table,
    since: datetime,
    until: datetime,
    workspace_id: WorkspaceId,
    selection: Selection,
    interval: Interval | None,
    by: Dimension | None,
    breakdown: Breakdown | None,
    *,
    added_up: bool,
) -> Select[Any]:
    column = table.c
    keys_: list[ColumnElement[Any]] = []
    if interval is not None:
        # Unchanged, so that rows come in the primary key's order; the outer query forms longer intervals.
        keys_.append(column.start)
    if by is not None:
        keys_.append(value_of(table, by).label("group"))
    sums = [(func.sum(column[name]) if added_up else column[name]).label(name) for name in SUMS]
    query = select(*keys_, *sums).where(column.workspace_id == workspace_id, *_during(table, since, until, selection))
    if table in _BROKEN_DOWN:
        query = query.where(column.breakdown == breakdown)
    query = query.where(*selected(table, selection))
    # Without groups, sums are one row even if no row matches.
    return query.group_by(*keys_) if keys_ and added_up else query


def _during(table: Table, since: datetime, until: datetime, selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions of a period.

    The value comes after the start in the primary key of breakdowns. So name each start if only a few values are wanted.
    """
    few = any(selection.only.values()) or 0 < len(selection.members) <= FEW
    if table not in _BROKEN_DOWN or not few:
        return [table.c.start >= since, table.c.start < until]
    following = next_month if table is usage_breakdown_months else _next_day
    starts = [since]
    while (start := following(starts[-1])) < until:
        starts.append(start)
    return [table.c.start.in_(starts)]


def _sums(source: Subquery) -> list[tuple[str, ColumnElement[Any]]]:
    return [(name, func.sum(source.c[name])) for name in SUMS]


def _line(row: RowMapping) -> UsageLine:
    start = row.get("start")
    return UsageLine(
        start=datetime.fromisoformat(start) if start is not None else None,
        group=row.get("group"),
        sums=msgspec.convert({name: int(row[name]) for name in SUMS}, Sums),
    )
