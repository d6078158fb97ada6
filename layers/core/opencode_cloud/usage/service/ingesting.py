"""Ingest events into MySQL: each exactly once, regardless of repetition, order and batches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import msgspec

from opencode_cloud.contracts.usage import SettledEvent, UsageEvent
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.retry import Backoff, retry
from opencode_cloud.usage.service.rollups import day_of, fold, hour_of

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.outbox.service import UnitOfWork
    from opencode_cloud.usage.store.ledger import Ledger

AT_ONCE = 500
"""The maximum number of events in one transaction."""
CONFLICTS = Backoff(first=0.1, longest=3.2, attempts=8)
"""Attempts of a transaction that conflicts with others. The pauses add up to at most 9.5 s."""
_LENGTHS = (
    dict.fromkeys(("model", "requested_model", "upstream_model"), 128)
    | dict.fromkeys(("upstream", "price", "error", "project", "session", "request", "correlation_id"), 64)
    | dict.fromkeys(("agent",), 32)
    | dict.fromkeys(("format", "fallback", "outcome"), 16)
)
"""Maximum lengths of text columns, in characters. Some of the texts come from clients."""


class Settlement(Protocol):
    """Charges events in the transaction that writes them."""

    def unit(self) -> AbstractContextManager[UnitOfWork]:
        """Return a context manager that yields a unit of work."""
        ...

    def settle(self, unit: UnitOfWork, events: Sequence[SettledEvent]) -> None:
        """Charge events that were written for the first time."""
        ...


class Ingest:
    """Writes events and their sums."""

    def __init__(self, ledger: Ledger, settlement: Settlement | None = None) -> None:
        """Without ``settlement``, events are counted and not charged."""
        self._ledger = ledger
        self._settlement = settlement

    def take(self, entries: Sequence[SettledEvent]) -> int:
        """Write events to MySQL; return the number of new ones.

        The transaction that inserts an event's row also updates all sums that contain the event. So repeating the
        same events, later, concurrently or in other batches, changes nothing.

        Raises:
            Unavailable: MySQL cannot be reached, or conflicts lasted too long. Committed events stay committed.
        """
        # Events with the same id are equal, so keep the first of each.
        unique = {entry.event.id: entry for entry in reversed(entries)}
        ordered = sorted(unique.values(), key=lambda entry: entry.event.id)
        new = 0
        for start in range(0, len(ordered), AT_ONCE):
            new += self._take_some([_bounded(entry) for entry in ordered[start : start + AT_ONCE]])
        return new

    def _take_some(self, entries: Sequence[SettledEvent]) -> int:
        return retry(lambda: self._take_once(entries), CONFLICTS, Unavailable, when=conflicted)

    def _take_once(self, entries: Sequence[SettledEvent]) -> int:
        if self._settlement is None:
            with self._ledger.transaction() as connection:
                fresh = self._write(connection, entries)
                self._break_down(connection, fresh)
            return len(fresh)
        with self._settlement.unit() as unit:
            fresh = self._write(unit.connection, entries)
            self._settlement.settle(unit, fresh)
            self._break_down(unit.connection, fresh)
        return len(fresh)

    def _write(self, connection: Connection, entries: Sequence[SettledEvent]) -> list[SettledEvent]:
        """Write events and their sums; return the new ones."""
        ledger = self._ledger
        ours = ledger.add(connection, [entry.event for entry in entries], new_id("txn"))
        fresh = [entry for entry in entries if entry.event.id in ours]
        if fresh:
            events = [entry.event for entry in fresh]
            ledger.add_metadata(connection, events)
            ledger.add_hours(connection, fold(events, hour_of))
            ledger.add_days(connection, fold(events, day_of))
            ledger.add_sessions(connection, fold(events, day_of, sessions=True))
            ledger.add_counters(connection, fresh)
        return fresh

    def _break_down(self, connection: Connection, fresh: Sequence[SettledEvent]) -> None:
        """Add new events to the breakdowns. Last, because all transactions of a workspace change the same rows."""
        if fresh:
            self._ledger.add_breakdowns(connection, [entry.event for entry in fresh])


def conflicted(error: Unavailable) -> bool:
    """Return whether the transaction conflicted with others, so that a retry may succeed."""
    return error.code == "database_busy"


def _bounded(entry: SettledEvent) -> SettledEvent:
    """Truncate texts to the columns' lengths, so that a client's long id does not prevent counting a call's cost."""
    event: UsageEvent = entry.event
    cut = {
        name: getattr(event, name)[:length] for name, length in _LENGTHS.items() if len(getattr(event, name)) > length
    }
    return msgspec.structs.replace(entry, event=msgspec.structs.replace(event, **cut)) if cut else entry
