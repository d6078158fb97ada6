"""What wakes ``functions/budgets``: the stream of settled calls, and each minute."""

from __future__ import annotations

from asyncio import Runner
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.log import logger
from opencode_cloud.schema.usage_events import counters_of

if TYPE_CHECKING:
    from opencode_cloud.budgets.service import Alerting, Sweep


class BudgetsKeeper:
    """Looks at counters that have changed, and ends leases. One event loop serves all invocations of an environment."""

    def __init__(self, sweep: Sweep, alerting: Alerting) -> None:
        self._sweep = sweep
        self._alerting = alerting
        self._loop = Runner()

    def follow(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Look at the counters that a batch of the stream was settled on; answer where to begin again on a failure."""
        records = event["Records"]
        images = [record["dynamodb"].get("NewImage", {}) for record in records]
        keys = list(dict.fromkeys(key for image in images for key in counters_of(image)))
        try:
            self._loop.run(self._alerting.look_at(keys, now_seconds()))
        except Exception:  # noqa: BLE001 - the stream sends the batch again, which is harmless; the failure is logged
            logger.exception("budgets were not looked at")
            return {"batchItemFailures": [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]}
        return {"batchItemFailures": []}

    def tick(self) -> dict[str, Any]:
        """End what is over, and tell of first refusals; return how many of each there were."""
        return self._loop.run(self._tick())

    async def _tick(self) -> dict[str, Any]:
        now = now_seconds()
        return {"lost": await self._sweep.run(now), "alerts": await self._alerting.look_at_refused(now)}
