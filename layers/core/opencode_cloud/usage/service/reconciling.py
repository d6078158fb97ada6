"""Compare SQL with the settled events in DynamoDB, every night; and replay a day for operators."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.budgets import BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.housekeeping import ItemRuns
from opencode_cloud.kit.log import count, logger
from opencode_cloud.usage.models import EVENTS, CounterSums, CounterValues, Drift, Tally, events_deleted
from opencode_cloud.usage.service.rollups import day_start

if TYPE_CHECKING:
    from opencode_cloud.usage.service.ingesting import Ingest
    from opencode_cloud.usage.store.checks import CheckStore
    from opencode_cloud.usage.store.table import CounterTable, UsageTable

DAYS = 2
"""Days that are compared each night. A late settlement counts on the day of its call, so one day is too few."""
SETTLED_SECONDS = 3600
"""Age in seconds at which calls are settled. A call takes at most 15 minutes; its lease is slightly longer."""
COUNTERS_AT_ONCE = 500
REPLAY_SECONDS = 60


class ReplayProgress(msgspec.Struct, frozen=True):
    """The progress of a replay."""

    events: int
    """Number of events that were read."""
    new: int
    """Number of events that SQL lacked."""
    after: tuple[str, str] | None
    """Workspace and call after which to continue; None: the replay is complete."""


class Reconciliation:
    """Compares, ingests missing events, and reports each drift to the log, the metric ``LedgerDrift`` and SQL."""

    def __init__(self, checks: CheckStore, table: UsageTable, counters: CounterTable, ingest: Ingest) -> None:
        self._checks = checks
        self._table = table
        self._counters = counters
        self._ingest = ingest

    def run(self) -> int:
        """Compare complete days, then counters whose windows are over; return the number of drifts.

        Raises :class:`ItemsFailed` if some workspaces could not be compared. The others are compared.
        """
        today = day_start(utc_now() - timedelta(seconds=SETTLED_SECONDS))
        runs = ItemRuns()
        for back in range(DAYS, 0, -1):
            day = today - timedelta(days=back)
            for workspace in self._checks.workspaces(day, day + timedelta(days=1)):
                runs.run(workspace, partial(self.check_day, WorkspaceId(workspace), day))
        runs.run("counters", self.check_counters)
        count("LedgerDrift", runs.total)
        runs.check()
        count("LedgerReconciled")
        return runs.total

    def check_day(self, workspace_id: WorkspaceId, day: datetime) -> int:
        """Compare a workspace's day in DynamoDB, in SQL, and in the rollups; return the number of drifts.

        Events that SQL lacks are ingested, which also repairs the rollups; except where retention deleted events.
        """
        name, until = f"{day:%Y-%m-%d}", day + timedelta(days=1)
        settled = tally(entry.event for page in self._table.day(workspace_id, name) for entry in page)
        tallies = self._checks.tallies(workspace_id, day, until)
        drifts = 0
        if tallies[EVENTS] != settled:
            before = tallies[EVENTS]
            if not _deleted(tallies):
                for page in self._table.day(workspace_id, name):
                    self._ingest.take(page)
                tallies = self._checks.tallies(workspace_id, day, until)
            drifts += self._report(workspace_id, name, EVENTS, settled, before, repaired=tallies[EVENTS] == settled)
        expected = msgspec.structs.replace(tallies[EVENTS], checksum=None)
        for kind, sums in tallies.items():
            if kind != EVENTS and sums != expected:
                drifts += self._report(workspace_id, name, kind, expected, sums)
        return drifts

    def check_counters(self) -> int:
        """Compare counters of budgets with the events that were settled on them; return the number of drifts.

        A window is compared once, when it is over and settled. A window that never ends is compared when it is idle.
        """
        quiet = utc_now() - timedelta(seconds=SETTLED_SECONDS)
        settled = now_seconds() - SETTLED_SECONDS
        drifts, after = 0, ""
        while batch := self._checks.spent(after, quiet, COUNTERS_AT_ONCE):
            after = batch[-1].counter
            counters = self._counters.get([spent.counter for spent in batch])
            over: list[CounterSums] = []
            for spent in batch:
                counter = counters.get(spent.counter)
                if counter is None or (counter.resets_at is not None and counter.resets_at < settled):
                    drifts += self._check_counter(spent, counter)
                    over.append(spent)
                elif counter.resets_at is None:
                    drifts += self._check_open(spent, counter)
            self._checks.mark(over)
        return drifts

    def replay(self, day: str, workspace_id: WorkspaceId | None, after: tuple[str, str] | None) -> ReplayProgress:
        """Ingest a UTC day (``YYYY-MM-DD``) of one workspace, or of all, for up to a minute. Existing events stay.

        Raises ``events_deleted`` (409) if retention has deleted events of the day.
        """
        start = datetime.fromisoformat(day)
        until = start + timedelta(days=1)
        workspace_ids = [workspace_id] if workspace_id else self._checks.workspaces(start, until)
        began, read, new = monotonic(), 0, 0
        for workspace in workspace_ids:
            if after is not None and workspace < after[0]:
                continue
            if _deleted(self._checks.tallies(workspace, start, until)):
                raise events_deleted(workspace, day)
            call = after[1] if after is not None and workspace == after[0] else None
            for page in self._table.day(workspace, day, call):
                read, new = read + len(page), new + self._ingest.take(page)
                if page and monotonic() - began > REPLAY_SECONDS:
                    return ReplayProgress(read, new, (workspace, page[-1].event.id))
        return ReplayProgress(read, new, None)

    def _check_open(self, spent: CounterSums, counter: CounterValues) -> int:
        """Compare a counter without an end. Report a difference only if it remains after ingesting recent events."""
        if counter.reserved or counter.spent == amount(spent, counter):
            return 0
        today = day_start(utc_now())
        for day in (today - timedelta(days=1), today):
            for page in self._table.day(spent.workspace_id, f"{day:%Y-%m-%d}"):
                self._ingest.take(page)
        again = self._counters.get([spent.counter]).get(spent.counter)
        if again != counter:
            # Calls changed the counter meanwhile; the next night compares it again.
            return 0
        return self._check_counter(self._checks.spent_on(spent.counter), counter)

    def _check_counter(self, spent: CounterSums, counter: CounterValues | None) -> int:
        expected = amount(spent, counter) if counter else None
        if counter is not None and counter.spent == expected:
            return 0
        drift = Drift(
            workspace_id=spent.workspace_id,
            day=f"{utc_now():%Y-%m-%d}",
            kind="counter",
            subject=spent.counter,
            expected={"spent": expected, "cost": spent.cost, "requests": spent.requests},
            found={"spent": counter.spent if counter else None},
        )
        return self._record(drift)

    def _report(
        self, workspace_id: WorkspaceId, day: str, kind: str, expected: Tally, stored: Tally, *, repaired: bool = False
    ) -> int:
        drift = Drift(
            workspace_id=workspace_id,
            day=day,
            kind=kind,
            expected=msgspec.structs.asdict(expected),
            found=msgspec.structs.asdict(stored),
            repaired=repaired,
        )
        return self._record(drift)

    def _record(self, drift: Drift) -> int:
        logger.error("the books drift", extra={"finding": msgspec.structs.asdict(drift)})
        self._checks.record(drift)
        return 1


def _deleted(tallies: Mapping[str, Tally]) -> bool:
    """Return whether the sums by day, which are kept longer, contain calls whose events were deleted."""
    return tallies["days"].calls > tallies[EVENTS].calls


def tally(events: Iterable[UsageEvent]) -> Tally:
    """Return sums over events."""
    calls = cost = charged = tokens = checksums = 0
    for event in events:
        calls += 1
        cost += event.cost
        charged += event.charged
        tokens += event.tokens.total
        checksums += checksum(event)
    return Tally(calls=calls, cost=cost, charged=charged, tokens=tokens, checksum=checksums)


def checksum(event: UsageEvent) -> int:
    """Return a checksum over the event's id and all of its amounts."""
    used = event.tokens
    parts = (event.id, event.cost, event.charged, used.input, used.output, used.cache_read, used.cache_write)
    return zlib.crc32("|".join(map(str, (*parts, used.cache_write_1h))).encode())


def amount(spent: CounterSums, counter: CounterValues) -> int:
    """Return the sum of the events that corresponds to the counter's unit."""
    if counter.scope == BudgetScope.BALANCE:
        return spent.charged
    amounts = {BudgetUnit.COST: spent.cost, BudgetUnit.TOKENS: spent.tokens, BudgetUnit.REQUESTS: spent.requests}
    return amounts[BudgetUnit(counter.unit)]
