"""Holding the books against what was settled: every night, and for operators who replay a day."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.budgets import Scope, Unit
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.log import count, logger
from opencode_cloud.usage.models import EVENTS, Counted, Finding, Spent, Tally, events_deleted
from opencode_cloud.usage.service.rollups import day_start

if TYPE_CHECKING:
    from opencode_cloud.usage.service.ingesting import Ingest
    from opencode_cloud.usage.store.checks import CheckStore
    from opencode_cloud.usage.store.table import CounterTable, UsageTable

DAYS = 2
"""That are compared each night: what was settled late is in the day of the call."""
SETTLED_SECONDS = 3600
"""After so long nothing is under way any more: a call takes 15 minutes at most, its lease little longer."""
COUNTERS_AT_ONCE = 500
REPLAY_SECONDS = 60


class Replayed(msgspec.Struct, frozen=True):
    """How far a replay came."""

    events: int
    """That were read."""
    new: int
    """That had been missing."""
    after: tuple[str, str] | None
    """Workspace and call after which to go on; None: all is done."""


class Reconciliation:
    """Compares, takes in what is missing, and reports each drift: log, metric ``LedgerDrift``, row."""

    def __init__(self, checks: CheckStore, table: UsageTable, counters: CounterTable, ingest: Ingest) -> None:
        self._checks = checks
        self._table = table
        self._counters = counters
        self._ingest = ingest

    def run(self) -> int:
        """Compare the days that are over, then the counters whose windows are; return how many drifts there were."""
        today = day_start(utc_now() - timedelta(seconds=SETTLED_SECONDS))
        drifts = 0
        for back in range(DAYS, 0, -1):
            day = today - timedelta(days=back)
            for workspace in self._checks.workspaces(day, day + timedelta(days=1)):
                drifts += self.check_day(WorkspaceId(workspace), day)
        drifts += self.check_counters()
        count("LedgerReconciled")
        count("LedgerDrift", drifts)
        return drifts

    def check_day(self, workspace_id: WorkspaceId, day: datetime) -> int:
        """Compare a workspace's day in DynamoDB, in SQL, and in the rollups; return how many drifts there were.

        Events that SQL lacks are taken in, which mends the rollups too; but not where they were deleted.
        """
        name, until = f"{day:%Y-%m-%d}", day + timedelta(days=1)
        truth = tally(entry.event for page in self._table.day(workspace_id, name) for entry in page)
        found = self._checks.tallies(workspace_id, day, until)
        drifts = 0
        if found[EVENTS] != truth:
            before = found[EVENTS]
            if not _deleted(found):
                for page in self._table.day(workspace_id, name):
                    self._ingest.take(page)
                found = self._checks.tallies(workspace_id, day, until)
            drifts += self._report(workspace_id, name, EVENTS, truth, before, repaired=found[EVENTS] == truth)
        expected = msgspec.structs.replace(found[EVENTS], checksum=None)
        for kind, sums in found.items():
            if kind != EVENTS and sums != expected:
                drifts += self._report(workspace_id, name, kind, expected, sums)
        return drifts

    def check_counters(self) -> int:
        """Compare counters of budgets with the events that were settled on them; return how many drifts there were.

        A window is compared once it is over and settled. One that never ends is compared whenever it has been quiet.
        """
        quiet = utc_now() - timedelta(seconds=SETTLED_SECONDS)
        settled = now_seconds() - SETTLED_SECONDS
        drifts, after = 0, ""
        while batch := self._checks.spent(after, quiet, COUNTERS_AT_ONCE):
            after = batch[-1].counter
            counters = self._counters.get([each.counter for each in batch])
            over: list[Spent] = []
            for each in batch:
                counter = counters.get(each.counter)
                if counter is None or (counter.resets_at is not None and counter.resets_at < settled):
                    drifts += self._check_counter(each, counter)
                    over.append(each)
                elif counter.resets_at is None:
                    drifts += self._check_open(each, counter)
            self._checks.mark(over)
        return drifts

    def replay(self, day: str, workspace_id: WorkspaceId | None, after: tuple[str, str] | None) -> Replayed:
        """Take in a UTC day (``YYYY-MM-DD``) of one workspace, or of all, for up to a minute; what is there stays.

        Raises ``events_deleted`` (409) where retention has been.
        """
        start = datetime.fromisoformat(day)
        until = start + timedelta(days=1)
        known = [workspace_id] if workspace_id else self._checks.workspaces(start, until)
        began, read, new = monotonic(), 0, 0
        for each in known:
            if after is not None and each < after[0]:
                continue
            if _deleted(self._checks.tallies(each, start, until)):
                raise events_deleted(each, day)
            call = after[1] if after is not None and each == after[0] else None
            for page in self._table.day(each, day, call):
                read, new = read + len(page), new + self._ingest.take(page)
                if page and monotonic() - began > REPLAY_SECONDS:
                    return Replayed(read, new, (each, page[-1].event.id))
        return Replayed(read, new, None)

    def _check_open(self, spent: Spent, counter: Counted) -> int:
        """Compare a counter that goes on: a difference counts only if it stays when today's events have come."""
        if counter.reserved or counter.spent == amount(spent, counter):
            return 0
        today = day_start(utc_now())
        for day in (today - timedelta(days=1), today):
            for page in self._table.day(spent.workspace_id, f"{day:%Y-%m-%d}"):
                self._ingest.take(page)
        again = self._counters.get([spent.counter]).get(spent.counter)
        if again != counter:
            return 0
        return self._check_counter(self._checks.spent_on(spent.counter), counter)

    def _check_counter(self, spent: Spent, counter: Counted | None) -> int:
        expected = amount(spent, counter) if counter else None
        if counter is not None and counter.spent == expected:
            return 0
        finding = Finding(
            workspace_id=spent.workspace_id,
            day=f"{utc_now():%Y-%m-%d}",
            kind="counter",
            subject=spent.counter,
            expected={"spent": expected, "cost": spent.cost, "requests": spent.requests},
            found={"spent": counter.spent if counter else None},
        )
        return self._tell(finding)

    def _report(
        self, workspace_id: WorkspaceId, day: str, kind: str, expected: Tally, found: Tally, *, repaired: bool = False
    ) -> int:
        finding = Finding(
            workspace_id=workspace_id,
            day=day,
            kind=kind,
            expected=msgspec.structs.asdict(expected),
            found=msgspec.structs.asdict(found),
            repaired=repaired,
        )
        return self._tell(finding)

    def _tell(self, finding: Finding) -> int:
        logger.error("the books drift", extra={"finding": msgspec.structs.asdict(finding)})
        self._checks.record(finding)
        return 1


def _deleted(found: Mapping[str, Tally]) -> bool:
    """Tell whether sums by day, which are kept longer, count calls whose events are gone."""
    return found["days"].calls > found[EVENTS].calls


def tally(events: Iterable[UsageEvent]) -> Tally:
    """Return what events add up to."""
    calls = cost = charged = tokens = checksums = 0
    for event in events:
        calls += 1
        cost += event.cost
        charged += event.charged
        tokens += event.tokens.total
        checksums += checksum(event)
    return Tally(calls=calls, cost=cost, charged=charged, tokens=tokens, checksum=checksums)


def checksum(event: UsageEvent) -> int:
    """Return a number that changes with the event's id and every amount of it."""
    used = event.tokens
    parts = (event.id, event.cost, event.charged, used.input, used.output, used.cache_read, used.cache_write)
    return zlib.crc32("|".join(map(str, (*parts, used.cache_write_1h))).encode())


def amount(spent: Spent, counter: Counted) -> int:
    """Return what of the events' sums counts on a counter."""
    if counter.scope == Scope.BALANCE:
        return spent.charged
    amounts = {Unit.COST: spent.cost, Unit.TOKENS: spent.tokens, Unit.REQUESTS: spent.requests}
    return amounts[Unit(counter.unit)]
