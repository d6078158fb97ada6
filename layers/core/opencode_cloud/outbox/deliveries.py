"""Batches of the relay's queue: which messages go back to it."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.kit.log import logger
from opencode_cloud.outbox.service import Outbox, WakeUp


class RelayQueue:
    """Takes in batches of wake-ups."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Relay what the batch asks for; answers which messages to deliver again."""
        failed = [record["messageId"] for record in event["Records"] if not self._wake_up(record)]
        try:
            self._outbox.tidy()
        except Exception:  # noqa: BLE001 - tidying is nobody's wake-up: the next batch tidies again
            logger.exception("tidying the outbox failed")
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}

    def _wake_up(self, record: dict[str, Any]) -> bool:
        try:
            self._outbox.wake_up(msgspec.json.decode(record["body"], type=WakeUp))
        except Exception:  # noqa: BLE001 - one message must not take the others of its batch along; SQS repeats it
            logger.exception("a wake-up failed", extra={"wake_up": record["messageId"]})
            return False
        return True
