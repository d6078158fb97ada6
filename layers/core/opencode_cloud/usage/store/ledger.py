"""Add to events, rollups and sums of counters in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Table, func, null, select
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.budgets.service.reservations import LATE
from opencode_cloud.contracts.usage import SettledEvent, UsageEvent
from opencode_cloud.schema.usage import (
    SUMS,
    usage_counters,
    usage_days,
    usage_events,
    usage_hours,
    usage_metadata,
    usage_sessions,
)
from opencode_cloud.usage.models import Sums
from opencode_cloud.usage.service.rollups import Group, moment
from opencode_cloud.usage.store import breakdowns

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database


class Ledger:
    """Writes events from the stream. Every method uses the transaction of its connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[Connection]:
        """Return a context manager that yields a connection inside a transaction."""
        return self._database.transaction()

    def add(self, connection: Connection, events: Sequence[UsageEvent], batch: str) -> set[str]:
        """Insert events that do not exist yet; return the ids of those that this call inserted.

        If two transactions insert the same event, the second waits for the first and finds its row. The id of the
        ``batch``, which is new for each transaction, shows which of them inserted the row.
        """
        statement = insert(usage_events)
        # Not INSERT IGNORE, which would also turn data errors into warnings.
        statement = statement.on_duplicate_key_update(id=usage_events.c.id)
        connection.execute(statement, [_event(event, batch) for event in sorted(events, key=lambda event: event.id)])
        ids = [event.id for event in events]
        ours = select(usage_events.c.id).where(usage_events.c.id.in_(ids), usage_events.c.batch == batch)
        return set(connection.execute(ours).scalars())

    def add_metadata(self, connection: Connection, events: Sequence[UsageEvent]) -> None:
        """Insert the metadata of new events."""
        rows = [
            {"event_id": event.id, "workspace_id": event.workspace_id, "at": moment(event), "metadata": event.metadata}
            for event in events
            if event.metadata
        ]
        if rows:
            connection.execute(usage_metadata.insert(), rows)

    def add_hours(self, connection: Connection, sums: Mapping[Group, Sums]) -> None:
        """Add to the rollup by hour."""
        _add(connection, usage_hours, sums)

    def add_days(self, connection: Connection, sums: Mapping[Group, Sums]) -> None:
        """Add to the rollup by day."""
        _add(connection, usage_days, sums)

    def add_sessions(self, connection: Connection, sums: Mapping[Group, Sums]) -> None:
        """Add to the rollup by day and session."""
        _add(connection, usage_sessions, sums)

    def add_breakdowns(self, connection: Connection, events: Sequence[UsageEvent]) -> None:
        """Add events that the transaction has inserted to the breakdowns by day and by month."""
        breakdowns.add(connection, [event.id for event in events])

    def add_counters(self, connection: Connection, entries: Sequence[SettledEvent]) -> None:
        """Add events to the sums of the counters that they were settled on."""
        sums: dict[str, dict[str, Any]] = {}
        for entry in entries:
            event = entry.event
            for counter in entry.counters:
                nothing = {"cost": 0, "charged": 0, "tokens": 0, "requests": 0, "last_at": moment(event)}
                row = sums.setdefault(counter, {"counter": counter, "workspace_id": event.workspace_id, **nothing})
                row["cost"] += event.cost
                row["charged"] += event.charged
                row["tokens"] += event.tokens.total
                # A late event is the second one of its call; the first has counted the request.
                row["requests"] += not event.id.endswith(LATE)
                row["last_at"] = max(row["last_at"], moment(event))
        if not sums:
            return
        statement = insert(usage_counters)
        new, column = statement.inserted, usage_counters.c
        changes = {name: column[name] + new[name] for name in ("cost", "charged", "tokens", "requests")}
        later = func.greatest(column.last_at, new.last_at)
        # New events make an earlier comparison obsolete, so reconciliation must compare the counter again.
        statement = statement.on_duplicate_key_update(**changes, last_at=later, reconciled_at=null())
        connection.execute(statement, [sums[counter] for counter in sorted(sums)])


def _add(connection: Connection, table: Table, sums: Mapping[Group, Sums]) -> None:
    """Add ``sums`` to the rows of a rollup. Sort them by key: every transaction locks rows in this order."""
    names = set(table.c.keys())
    rows = [
        {name: value for name, value in group._asdict().items() if name in names}
        | {"grouping": group.grouping}
        | msgspec.structs.asdict(total)
        for group, total in sums.items()
    ]
    rows.sort(key=lambda row: (row["workspace_id"], row["start"], row["grouping"]))
    statement = insert(table)
    statement = statement.on_duplicate_key_update(**{name: table.c[name] + statement.inserted[name] for name in SUMS})
    connection.execute(statement, rows)


def _event(event: UsageEvent, batch: str) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": moment(event),
        "workspace_id": event.workspace_id,
        "member_id": event.member_id,
        "account_id": event.account_id,
        "service_account_id": event.service_account_id,
        "key_id": event.key_id,
        "model": event.model,
        "requested_model": event.requested_model,
        "fallback": event.fallback,
        "upstream": event.upstream,
        "upstream_model": event.upstream_model,
        "format": event.format,
        "streamed": event.streamed,
        "byok": event.byok,
        "input_tokens": event.tokens.input,
        "output_tokens": event.tokens.output,
        "reasoning_tokens": event.tokens.reasoning,
        "cache_read_tokens": event.tokens.cache_read,
        "cache_write_tokens": event.tokens.cache_write,
        "cache_1h_tokens": event.tokens.cache_write_1h,
        "estimated": event.estimated,
        "cost": event.cost,
        "charged": event.charged,
        "reserved": event.reserved,
        "price": event.price,
        "catalogue": event.catalogue,
        "first_byte_ms": event.first_byte_ms,
        "total_ms": event.total_ms,
        "attempts": event.attempts,
        "outcome": str(event.outcome),
        "status": event.status,
        "error": event.error,
        "project": event.project,
        "agent": event.agent,
        "session": event.session,
        "request": event.request,
        "correlation": event.correlation_id,
        "batch": batch,
    }
