"""Detect that budgets reach thresholds, from settled calls and from the first refusal in a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opencode_cloud.budgets.models.crossings import THRESHOLDS, Crossing, crossing_id, mark
from opencode_cloud.kit.log import count

if TYPE_CHECKING:
    from opencode_cloud.budgets.store import CounterStore
    from opencode_cloud.budgets.store.rows import CounterRow

MOST_REFUSED = 500
"""The maximum number of counters with a first refusal that one run checks."""


class AlertsQueue(Protocol):
    """The queue of crossings."""

    def send(self, crossings: Sequence[Crossing]) -> None:
        """Send crossings; raises an error when the queue does not accept one."""
        ...


class Alerting:
    """Publishes each crossing at least once, always with the same id, so that the consumer can deliver it once."""

    def __init__(self, store: CounterStore, queue: AlertsQueue) -> None:
        self._store = store
        self._queue = queue

    async def look_at(self, keys: Sequence[str], now: int) -> int:
        """Publish new crossings of counters that calls were settled on; return their number."""
        return sum([await self._tell(row, now) for row in await self._store.counters(keys)])

    async def look_at_refused(self, now: int) -> int:
        """Publish crossings of counters that refused a call for the first time in their window; return their number."""
        keys = await self._store.refused(now, MOST_REFUSED)
        told = 0
        for row in await self._store.counters(keys):
            told += await self._tell(row, now)
            # Last, so that a crash before this line repeats the check in the next run.
            await self._store.forget_refusal(row.key)
        return told

    async def _tell(self, row: CounterRow, now: int) -> int:
        crossings = crossed(row, now)
        if not crossings:
            return 0
        # Publish before recording. A crash in between publishes again with the same id (at-least-once).
        self._queue.send(crossings)
        await self._store.note_alerts(row.key, [mark(row.budget, each.threshold) for each in crossings])
        count("BudgetAlerts", len(crossings))
        return len(crossings)


def crossed(row: CounterRow, now: int) -> list[Crossing]:
    """Return the thresholds that a counter has reached and that people were not notified of."""
    # A refusal counts only for the limit that refused. After a raise the counter can reach its thresholds again.
    budget, refused = row.budget, row.standing.refused_at == row.budget.limit
    # A limit of 0 forbids the use on purpose, so there is nothing to announce.
    if not budget.watched or budget.limit <= 0:
        return []
    reached = [
        threshold
        for threshold in THRESHOLDS
        if row.standing.spent * 100 >= budget.limit * threshold or (refused and threshold == THRESHOLDS[-1])
    ]
    return [
        Crossing(
            id=crossing_id(row.key, mark(budget, threshold)),
            workspace_id=row.workspace_id,
            budget=budget,
            threshold=threshold,
            used=row.standing.spent,
            refused=refused,
            starts_at=row.starts_at,
            resets_at=row.resets_at,
            at=now,
        )
        for threshold in reached
        if mark(budget, threshold) not in row.alerted
    ]
