"""Choose the tables that answer a question about usage, and the part of the period to read from each.

A question about one attribute alone is answered by breakdowns, others by the rollups that tell all attributes apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, Subquery, Table, and_, case, func, select, union_all

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.usage import (
    SUMS,
    usage_breakdown_days,
    usage_breakdown_months,
    usage_days,
    usage_hours,
    usage_session_months,
    usage_sessions,
)
from opencode_cloud.schema.workspaces import group_members
from opencode_cloud.usage.models import Breakdown, Dimension, Interval, Selection
from opencode_cloud.usage.service.rollups import day_start, month_start, next_month

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
_KINDS = {Dimension.MEMBER: "mem_", Dimension.SERVICE_ACCOUNT: "svc_"}
"""The beginning of the ids of the callers that a dimension tells apart."""
FEW = 50
"""The most members whose rows of breakdowns are read one by one."""
_BROKEN_DOWN = (usage_breakdown_days, usage_breakdown_months)
_BY_MONTH = (usage_breakdown_months, usage_session_months)
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
    member = "value" if table in _BROKEN_DOWN else "member_id"
    if selection.member_group:
        inside = select(group_members.c.member_id).where(group_members.c.group_id == selection.member_group)
        conditions.append(table.c[member].in_(inside))
    if selection.members:
        conditions.append(table.c[member].in_(selection.members))
    return conditions


def _is(table: Table, dimension: Dimension, value: str) -> ColumnElement[bool]:
    """Return the condition that a dimension has a value, in a form for which an index serves."""
    if table in _BROKEN_DOWN:
        same = value_of(table, dimension) == value
        return and_(same, table.c.value == value) if value else same
    if dimension is Dimension.CALLER:
        kind = next((each for each, beginning in _KINDS.items() if value.startswith(beginning)), dimension)
        return value_of(table, kind) == value
    return value_of(table, dimension) == value


def _caller(value: ColumnElement[str], kind: str) -> ColumnElement[str]:
    """Return ids of callers of one kind, and the empty text for others."""
    return case((func.left(value, len(kind)) == kind, value), else_="")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question about sums of selected calls, by interval and by group where these are given."""

    workspace_id: WorkspaceId
    selection: Selection
    interval: Interval | None = None
    by: Dimension | None = None

    def asked(self) -> set[Dimension]:
        """Return the attributes that an answer must tell apart."""
        groups = {Dimension.MEMBER} if self.selection.member_group or self.selection.members else set[Dimension]()
        return {*self.selection.only, *groups, *([] if self.by is None else [self.by])}

    def breakdown(self) -> Breakdown | None:
        """Return the breakdown that tells these apart; None if there is none."""
        asked = self.asked()
        if self.selection.byok is not None or Dimension.SESSION in asked:
            return None
        breakdowns = {Breakdown.CALLER if each in _KINDS else Breakdown(each) for each in asked} or {Breakdown.ALL}
        return breakdowns.pop() if len(breakdowns) == 1 else None


class PeriodPart(NamedTuple):
    """A part of a period and the table that holds its calls."""

    table: Table
    since: datetime
    until: datetime

    def starts(self) -> list[datetime]:
        """Return the starts of the rows of a table by day or by month."""
        following = next_month if self.table in _BY_MONTH else _next_day
        starts = [self.since]
        while (start := following(starts[-1])) < self.until:
            starts.append(start)
        return starts


class Source(NamedTuple):
    """Rows to add up."""

    rows: Subquery
    unique: bool
    """Whether each group has one row, which needs no addition."""


def source_of(question: Question) -> Source:
    """Return the rows of the selected calls, from the longest spans that fit into the period."""
    parts = parts_of(question)
    if len(parts) > 1:
        # Rows of several tables are added up for each table first.
        return Source(union_all(*(_rows(part, question, added_up=True) for part in parts)).subquery(), unique=False)
    (part,) = parts
    alone = part.table in _BY_MONTH and len(part.starts()) == 1 and question.by not in _KINDS
    return Source(_rows(part, question, added_up=False).subquery(), unique=alone)


def parts_of(question: Question) -> list[PeriodPart]:
    """Return the tables that hold the calls of a period, with the part of the period to read from each."""
    since, until, asked = question.selection.since, question.selection.until, question.asked()
    by_day = question.interval is Interval.DAY
    if Dimension.SESSION in asked:
        if by_day or asked != {Dimension.SESSION} or question.selection.byok is not None:
            return [PeriodPart(usage_sessions, since, until)]
        return _around(usage_sessions, usage_session_months, since, until, month_start, next_month)
    if question.interval is Interval.HOUR:
        return [PeriodPart(usage_hours, since, until)]
    if question.breakdown() is None:
        return _around(usage_hours, usage_days, since, until, day_start, _next_day)
    parts: list[PeriodPart] = []
    for part in _around(usage_hours, usage_breakdown_days, since, until, day_start, _next_day):
        if by_day or part.table is usage_hours:
            parts.append(part)
        else:
            parts += _around(part.table, usage_breakdown_months, part.since, part.until, month_start, next_month)
    return parts


def _around(
    short: Table,
    long: Table,
    since: datetime,
    until: datetime,
    start: Callable[[datetime], datetime],
    following: Callable[[datetime], datetime],
) -> list[PeriodPart]:
    """Return the whole long spans of a period with their table, and the rest with the table of short ones."""
    first = since if start(since) == since else following(since)
    last = start(until)
    if first >= last:
        return [PeriodPart(short, since, until)]
    parts = [PeriodPart(short, since, first), PeriodPart(long, first, last), PeriodPart(short, last, until)]
    return [part for part in parts if part.since < part.until]


def _next_day(at: datetime) -> datetime:
    return day_start(at) + _DAY


def _rows(part: PeriodPart, question: Question, *, added_up: bool) -> Select[Any]:
    column, selection = part.table.c, question.selection
    keys: list[ColumnElement[Any]] = []
    if question.interval is not None:
        # Unchanged, so that rows come in the primary key's order; the outer query forms longer intervals.
        keys.append(column.start)
    if question.by is not None:
        keys.append(value_of(part.table, question.by).label("group"))
    sums = [(func.sum(column[name]) if added_up else column[name]).label(name) for name in SUMS]
    query = select(*keys, *sums).where(column.workspace_id == question.workspace_id, *_during(part, selection))
    if part.table in _BROKEN_DOWN:
        query = query.where(column.breakdown == question.breakdown())
    query = query.where(*selected(part.table, selection))
    # Without groups, sums are one row even if no row matches.
    return query.group_by(*keys) if keys and added_up else query


def _during(part: PeriodPart, selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions of a period.

    The value comes after the start in the primary key of breakdowns. So name each start if only a few values are
    wanted, or if there is only one start.
    """
    start = part.table.c.start
    few = any(selection.only.values()) or 0 < len(selection.members) <= FEW
    if part.table in _BY_MONTH or (part.table in _BROKEN_DOWN and few):
        starts = part.starts()
        return [start.in_(starts) if len(starts) > 1 else start == starts[0]]
    return [start >= part.since, start < part.until]
