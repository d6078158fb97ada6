"""Read rollups: totals and series of a workspace. The cost does not depend on the number of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, Select, and_, false, func, literal, or_, select, true

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.usage import SUMS
from opencode_cloud.schema.workspaces import group_members, member_groups, members, service_accounts
from opencode_cloud.usage.models import Dimension, Interval, Selection, Sums, UsageLine
from opencode_cloud.usage.store.sources import Question, source_of

if TYPE_CHECKING:
    from sqlalchemy import Subquery

    from opencode_cloud.kit.sql import Database

_FORMS = {Interval.HOUR: "%Y-%m-%d %H:00:00", Interval.DAY: "%Y-%m-%d 00:00:00", Interval.MONTH: "%Y-%m-01 00:00:00"}


class Figures:
    """Reads sums over the calls of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def total(self, workspace_id: WorkspaceId, selection: Selection) -> Sums:
        """Return sums over all selected calls."""
        source = source_of(Question(workspace_id=workspace_id, selection=selection)).rows
        with self._database.transaction() as connection:
            row = connection.execute(select(*(func.coalesce(total, 0).label(name) for name, total in _sums(source))))
            return _line(row.mappings().one()).sums

    def groups(
        self, workspace_id: WorkspaceId, selection: Selection, by: Dimension, after: tuple[int, str] | None, limit: int
    ) -> Sequence[UsageLine]:
        """Return sums by group that follow the key ``after`` (cost, group), the most expensive group first."""
        rows, unique = source_of(Question(workspace_id=workspace_id, selection=selection, by=by))
        # An index has unique rows in the order of their cost.
        sums = [(name, rows.c[name] if unique else func.sum(rows.c[name])) for name in SUMS]
        cost = dict(sums)["cost"]
        query = select(rows.c.group, *(total.label(name) for name, total in sums))
        follows = true() if after is None else or_(cost < after[0], and_(cost == after[0], rows.c.group > after[1]))
        query = query.where(follows) if unique else query.group_by(rows.c.group).having(follows)
        return self._lines(query.order_by(cost.desc(), rows.c.group).limit(limit))

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
        asked = Question(workspace_id=workspace_id, selection=selection, interval=interval, by=by)
        source = source_of(asked).rows
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


def _sums(source: Subquery) -> list[tuple[str, ColumnElement[Any]]]:
    return [(name, func.sum(source.c[name])) for name in SUMS]


def _line(row: RowMapping) -> UsageLine:
    start = row.get("start")
    return UsageLine(
        start=datetime.fromisoformat(start) if start is not None else None,
        group=row.get("group"),
        sums=msgspec.convert({name: int(row[name]) for name in SUMS}, Sums),
    )
