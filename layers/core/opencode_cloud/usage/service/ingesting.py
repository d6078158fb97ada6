"""Taking events into MySQL: each once, however often, in whatever order and company it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.retry import Backoff, retry
from opencode_cloud.usage.models import Entry
from opencode_cloud.usage.service.rollups import day_of, fold, hour_of

if TYPE_CHECKING:
    from opencode_cloud.usage.store.ledger import Ledger

AT_ONCE = 500
"""Events of one transaction."""
CONFLICTS = Backoff(first=0.1, longest=3.2, attempts=8)
"""Attempts of a transaction that meets others. The pauses are 9.5 s together at most."""
_LENGTHS = (
    dict.fromkeys(("model", "upstream_model"), 128)
    | dict.fromkeys(("upstream", "price", "error", "session", "request", "correlation_id"), 64)
    | dict.fromkeys(("format", "outcome"), 16)
)
"""Characters that SQL keeps of texts, some of which are the client's."""


class Ingest:
    """Takes events in."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def take(self, entries: Sequence[Entry]) -> int:
        """Take events into MySQL; return how many were new.

        An event's row and all sums that it counts in are written in one transaction, by whoever wrote the row. So
        taking the same events again, later, elsewhere at the same time or in other groups changes nothing.

        Raises:
            Unavailable: MySQL cannot be reached, or others were in the way for too long. What was taken stays taken.
        """
        # Of events with one id in one batch, the first is as good as the others.
        unique = {entry.event.id: entry for entry in reversed(entries)}
        ordered = sorted(unique.values(), key=lambda entry: entry.event.id)
        new = 0
        for start in range(0, len(ordered), AT_ONCE):
            new += self._take_some([_bounded(entry) for entry in ordered[start : start + AT_ONCE]])
        return new

    def _take_some(self, entries: Sequence[Entry]) -> int:
        return retry(lambda: self._take_once(entries), CONFLICTS, Unavailable, when=_busy)

    def _take_once(self, entries: Sequence[Entry]) -> int:
        ledger = self._ledger
        with ledger.transaction() as connection:
            ours = ledger.add(connection, [entry.event for entry in entries], new_id("txn"))
            fresh = [entry for entry in entries if entry.event.id in ours]
            if fresh:
                events = [entry.event for entry in fresh]
                ledger.add_metadata(connection, events)
                ledger.add_hours(connection, fold(events, hour_of))
                ledger.add_days(connection, fold(events, day_of))
                ledger.add_sessions(connection, fold(events, day_of, sessions=True))
                ledger.add_counters(connection, fresh)
        return len(fresh)


def _busy(error: Unavailable) -> bool:
    """Tell whether other transactions were in the way, so that the same one may succeed in a moment."""
    return error.code == "database_busy"


def _bounded(entry: Entry) -> Entry:
    """Cut texts to what columns take: a client's long id must not keep a call's cost out of the books."""
    event: UsageEvent = entry.event
    cut = {
        name: getattr(event, name)[:length] for name, length in _LENGTHS.items() if len(getattr(event, name)) > length
    }
    return msgspec.structs.replace(entry, event=msgspec.structs.replace(event, **cut)) if cut else entry
