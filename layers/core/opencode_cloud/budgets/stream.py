"""Handle the triggers of ``functions/budgets``: the stream of settled calls, and a schedule of one minute."""

from __future__ import annotations

from asyncio import Runner
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit.batches import StreamBatch, StreamRecord
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.schema.usage_events import counters_of

if TYPE_CHECKING:
    from opencode_cloud.budgets.service import LeaseReaper, ThresholdDetector


class BudgetsKeeper:
    """Checks changed counters and ends leases. One event loop serves all invocations of an execution environment."""

    def __init__(self, reaper: LeaseReaper, detector: ThresholdDetector) -> None:
        self._reaper = reaper
        self._detector = detector
        self._loop = Runner()
        self._batch = StreamBatch(_counters, self._check)

    def follow(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Check the counters of a batch of settled calls; return the records that cannot be read."""
        return self._batch.handle(event)

    def _check(self, changes: Sequence[StreamRecord[tuple[str, ...]]]) -> tuple[()]:
        keys = list(dict.fromkeys(key for change in changes for key in change.payload))
        self._loop.run(self._detector.check(keys, now_seconds()))
        return ()

    def tick(self) -> dict[str, Any]:
        """Sweep ended leases, and publish first refusals; return the number of each."""
        return self._loop.run(self._tick())

    async def _tick(self) -> dict[str, Any]:
        now = now_seconds()
        return {"lost": await self._reaper.run(now), "alerts": await self._detector.check_refused(now)}


def _counters(record: Mapping[str, Any]) -> tuple[str, ...]:
    return counters_of(record["dynamodb"].get("NewImage", {}))
