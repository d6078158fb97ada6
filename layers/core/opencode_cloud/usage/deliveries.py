"""Messages of the queue of exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit.log import logger
from opencode_cloud.usage.models import ExportRequest

if TYPE_CHECKING:
    from opencode_cloud.usage.service import Exporting

MOST_ATTEMPTS = 4


class ExportDeliveries:
    """Brings the exports of a batch further."""

    def __init__(self, exporting: Exporting) -> None:
        self._exporting = exporting

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Go on with each export; answer which messages are to come again."""
        failures = [message["messageId"] for message in event["Records"] if not self._go_on(message)]
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failures]}

    def _go_on(self, message: Mapping[str, Any]) -> bool:
        asked = msgspec.json.decode(message["body"], type=ExportRequest)
        try:
            return self._exporting.go_on(asked)
        except Exception:  # noqa: BLE001 - one export must not take the others of its batch along; it comes again
            logger.exception("an export was interrupted", extra={"export": asked.export})
        if int(message["attributes"]["ApproximateReceiveCount"]) >= MOST_ATTEMPTS:
            self._exporting.give_up(asked)
            return True
        return False
