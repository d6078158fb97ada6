"""Sums of days and counters in MySQL for reconciliation, and its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Table, func, literal, null, select, union, union_all

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.schema.usage import (
    reconciliations,
    usage_counters,
    usage_days,
    usage_events,
    usage_hours,
    usage_sessions,
)
from opencode_cloud.schema.workspaces import workspaces
from opencode_cloud.usage.models import EVENTS, CounterSums, Drift, Tally

if TYPE_CHECKING:
    from sqlalchemy import Select

    from opencode_cloud.kit.sql import Database

ROLLUPS: Mapping[str, Table] = {"hours": usage_hours, "days": usage_days, "sessions": usage_sessions}
_COUNTED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_1h_tokens")
"""Token columns to sum up. Reasoning is left out because output includes it."""


class CheckStore:
    """Sums over tables of usage, and the table ``reconciliations``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def workspaces(self, since: datetime, until: datetime) -> Sequence[WorkspaceId]:
        """Return the workspaces that exist or that had usage in a period."""
        used = select(usage_days.c.workspace_id).where(usage_days.c.start >= since, usage_days.c.start < until)
        with self._database.transaction() as connection:
            return sorted(connection.execute(union(select(workspaces.c.id), used)).scalars())

    def tallies(self, workspace_id: WorkspaceId, since: datetime, until: datetime) -> Mapping[str, Tally]:
        """Return sums over the events and each rollup of a workspace's period, read in one consistent query."""
        parts = [_events(workspace_id, since, until)]
        parts += [_rollup(name, table, workspace_id, since, until) for name, table in ROLLUPS.items()]
        with self._database.transaction() as connection:
            rows = connection.execute(union_all(*parts)).mappings()
            return {row["kind"]: _tally(row) for row in rows}

    def spent(self, after: str, before: datetime, limit: int) -> Sequence[CounterSums]:
        """Return sums of counters without an event since ``before`` that were not compared yet, ordered by key."""
        column = usage_counters.c
        query = select(*(column[name] for name in CounterSums.__struct_fields__)).where(
            column.reconciled_at.is_(None), column.counter > after, column.last_at < before
        )
        with self._database.transaction() as connection:
            rows = connection.execute(query.order_by(column.counter).limit(limit)).mappings()
            return [_spent(row) for row in rows]

    def spent_on(self, counter: str) -> CounterSums:
        """Return the sums of one counter."""
        column = usage_counters.c
        query = select(*(column[name] for name in CounterSums.__struct_fields__)).where(column.counter == counter)
        with self._database.transaction() as connection:
            return _spent(connection.execute(query).mappings().one())

    def mark(self, counters: Sequence[CounterSums]) -> None:
        """Mark counters as compared, unless they have had events since they were read."""
        column = usage_counters.c
        with self._database.transaction() as connection:
            for sums in sorted(counters, key=lambda sums: sums.counter):
                same = [column[name] == getattr(sums, name) for name in ("requests", "cost", "charged", "tokens")]
                query = usage_counters.update().where(column.counter == sums.counter, *same)
                connection.execute(query.values(reconciled_at=utc_now()))

    def record(self, finding: Drift) -> None:
        """Insert a finding."""
        row = {"id": new_id("rec"), "found_at": utc_now(), **msgspec.structs.asdict(finding)}
        with self._database.transaction() as connection:
            connection.execute(reconciliations.insert(), row)


def _events(workspace_id: WorkspaceId, since: datetime, until: datetime) -> Select[*tuple[Any, ...]]:
    column = usage_events.c
    # Must equal `checksum` of opencode_cloud.usage.service.reconciling.
    text = func.concat_ws("|", column.id, column.cost, column.charged, *(column[name] for name in _COUNTED))
    query = select(
        literal(EVENTS).label("kind"),
        func.count().label("calls"),
        func.coalesce(func.sum(column.cost), 0).label("cost"),
        func.coalesce(func.sum(column.charged), 0).label("charged"),
        func.coalesce(func.sum(sum((column[name] for name in _COUNTED[1:]), column[_COUNTED[0]])), 0).label("tokens"),
        func.coalesce(func.sum(func.crc32(text)), 0).label("checksum"),
    )
    return query.where(column.workspace_id == workspace_id, column.at >= since, column.at < until)


def _rollup(
    name: str, table: Table, workspace_id: WorkspaceId, since: datetime, until: datetime
) -> Select[*tuple[Any, ...]]:
    column = table.c
    tokens = sum((column[kind] for kind in _COUNTED[1:]), column[_COUNTED[0]])
    query = select(
        literal(name).label("kind"),
        func.coalesce(func.sum(column.calls), 0).label("calls"),
        func.coalesce(func.sum(column.cost), 0).label("cost"),
        func.coalesce(func.sum(column.charged), 0).label("charged"),
        func.coalesce(func.sum(tokens), 0).label("tokens"),
        null().label("checksum"),
    )
    return query.where(column.workspace_id == workspace_id, column.start >= since, column.start < until)


def _tally(row: Mapping[Any, Any]) -> Tally:
    checksum = row["checksum"]
    return Tally(
        calls=int(row["calls"]),
        cost=int(row["cost"]),
        charged=int(row["charged"]),
        tokens=int(row["tokens"]),
        checksum=None if checksum is None else int(checksum),
    )


def _spent(row: Mapping[Any, Any]) -> CounterSums:
    return CounterSums(**{name: row[name] for name in CounterSums.__struct_fields__})
