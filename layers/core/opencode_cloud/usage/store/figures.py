"""Read rollups: totals and series of a workspace. The cost does not depend on the number of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, Select, Table, and_, false, func, literal, or_, select, union_all

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.usage import SUMS, usage_days, usage_hours, usage_sessions
from opencode_cloud.schema.workspaces import group_members, member_groups, members, service_accounts
from opencode_cloud.usage.models import Dimension, Interval, Selection, Sums, UsageLine
from opencode_cloud.usage.service.rollups import day_start

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
_FORMS = {Interval.HOUR: "%Y-%m-%d %H:00:00", Interval.DAY: "%Y-%m-%d 00:00:00", Interval.MONTH: "%Y-%m-01 00:00:00"}
_DAY = timedelta(days=1)


def value_of(table: Table, dimension: Dimension) -> ColumnElement[str]:
    """Return the column of a dimension in a table of events or a rollup."""
    if dimension is Dimension.CALLER:
        # At most one of the two is set.
        return func.concat(table.c.member_id, table.c.service_account_id)
    return table.c[_COLUMNS[dimension]]


def selected(table: Table, selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions of a selection, except its period, on a table of events or a rollup."""
    conditions = [value_of(table, dimension) == value for dimension, value in selection.only.items()]
    if selection.byok is not None:
        conditions.append(table.c.byok == selection.byok)
    if selection.member_group:
        inside = select(group_members.c.member_id).where(group_members.c.group_id == selection.member_group)
        conditions.append(table.c.member_id.in_(inside))
    if selection.members:
        conditions.append(table.c.member_id.in_(selection.members))
    return conditions


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
    """Return sums of the rollups of the selected calls: by day for whole days, by hour for the rest."""
    parts = [
        _part(table, workspace_id, since, until, selection, interval, by)
        for table, since, until in _pieces(selection, interval, sessions=by is Dimension.SESSION)
    ]
    return (parts[0] if len(parts) == 1 else union_all(*parts)).subquery()


def _pieces(
    selection: Selection, interval: Interval | None, *, sessions: bool
) -> list[tuple[Table, datetime, datetime]]:
    since, until = selection.since, selection.until
    if sessions or Dimension.SESSION in selection.only:
        return [(usage_sessions, since, until)]
    first, last = day_start(since + _DAY - timedelta(microseconds=1)), day_start(until)
    if interval is Interval.HOUR or first >= last:
        return [(usage_hours, since, until)]
    pieces = [(usage_days, first, last)]
    if since < first:
        pieces.append((usage_hours, since, first))
    if last < until:
        pieces.append((usage_hours, last, until))
    return pieces


def _part(
    table: Table,
    workspace_id: WorkspaceId,
    since: datetime,
    until: datetime,
    selection: Selection,
    interval: Interval | None,
    by: Dimension | None,
) -> Select[Any]:
    column = table.c
    keys_: list[ColumnElement[Any]] = []
    if interval is not None:
        # Unchanged, so that rows come in the primary key's order; the outer query forms longer intervals.
        keys_.append(column.start)
    if by is not None:
        keys_.append(value_of(table, by).label("group"))
    query = select(*keys_, *(func.sum(column[name]).label(name) for name in SUMS))
    query = query.where(column.workspace_id == workspace_id, column.start >= since, column.start < until)
    query = query.where(*selected(table, selection))
    # Without groups the query returns one row even if no row matches.
    return query.group_by(*keys_) if keys_ else query


def _sums(source: Subquery) -> list[tuple[str, ColumnElement[Any]]]:
    return [(name, func.sum(source.c[name])) for name in SUMS]


def _line(row: RowMapping) -> UsageLine:
    start = row.get("start")
    return UsageLine(
        start=datetime.fromisoformat(start) if start is not None else None,
        group=row.get("group"),
        sums=msgspec.convert({name: int(row[name]) for name in SUMS}, Sums),
    )
