"""Process batches of the relay's queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.kit.log import logger
from opencode_cloud.outbox.service import Outbox, WakeUp


class RelayQueue:
    """Processes batches of wake-ups."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._batch = PartialBatch(WakeUp, outbox.wake_up)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Relay the transactions of a batch; return the messages that SQS must deliver again."""
        answer = self._batch.handle(event)
        try:
            self._outbox.tidy()
        except Exception:  # noqa: BLE001 - cleanup failures must not fail the batch; the next batch retries them
            logger.exception("tidying the outbox failed")
        return answer
