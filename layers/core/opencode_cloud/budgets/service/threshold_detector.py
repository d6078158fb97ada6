"""Detect that budgets reach thresholds, from settled calls and from the first refusal in a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opencode_cloud.budgets.models.thresholds import THRESHOLDS, ThresholdReached, mark, threshold_id
from opencode_cloud.kit.log import count

if TYPE_CHECKING:
    from opencode_cloud.budgets.store import CounterStore
    from opencode_cloud.budgets.store.rows import CounterRow

MOST_REFUSED = 500
"""The maximum number of counters with a first refusal that one run checks."""


class ThresholdQueue(Protocol):
    """The queue of reached thresholds."""

    def send(self, events: Sequence[ThresholdReached]) -> None:
        """Send messages; raises an error when the queue does not accept one."""
        ...


class ThresholdDetector:
    """Publishes each reached threshold at least once, with the same id, so that the consumer can deliver it once."""

    def __init__(self, store: CounterStore, queue: ThresholdQueue) -> None:
        self._store = store
        self._queue = queue

    async def check(self, keys: Sequence[str], now: int) -> int:
        """Publish the newly reached thresholds of counters that calls were settled on; return their number."""
        return sum([await self._publish(row, now) for row in await self._store.counters(keys)])

    async def check_refused(self, now: int) -> int:
        """Publish the thresholds of counters with a first refusal in their window; return their number."""
        keys = await self._store.refused(now, MOST_REFUSED)
        published = 0
        for row in await self._store.counters(keys):
            published += await self._publish(row, now)
            # Last, so that a crash before this line repeats the check in the next run.
            await self._store.forget_refusal(row.key)
        return published

    async def _publish(self, row: CounterRow, now: int) -> int:
        events = new_thresholds(row, now)
        if not events:
            return 0
        # Publish before recording. A crash in between publishes again with the same id (at-least-once).
        self._queue.send(events)
        await self._store.note_alerts(row.key, [mark(row.budget, event.threshold) for event in events])
        count("BudgetAlerts", len(events))
        return len(events)


def new_thresholds(row: CounterRow, now: int) -> list[ThresholdReached]:
    """Return the thresholds that a counter has reached and that people were not notified of."""
    # A refusal counts only for the limit that refused. After a raise the counter can reach its thresholds again.
    budget, refused = row.budget, row.usage.refused_limit == row.budget.limit
    # A limit of 0 forbids the use on purpose, so there is nothing to announce.
    if not budget.watched or budget.limit <= 0:
        return []
    reached = [
        threshold
        for threshold in THRESHOLDS
        if row.usage.spent * 100 >= budget.limit * threshold or (refused and threshold == THRESHOLDS[-1])
    ]
    return [
        ThresholdReached(
            id=threshold_id(row.key, mark(budget, threshold)),
            workspace_id=row.workspace_id,
            budget=budget,
            threshold=threshold,
            used=row.usage.spent,
            refused=refused,
            starts_at=row.starts_at,
            resets_at=row.resets_at,
            at=now,
        )
        for threshold in reached
        if mark(budget, threshold) not in row.alerted
    ]
