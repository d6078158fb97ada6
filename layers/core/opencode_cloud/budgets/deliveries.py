"""Messages of the queue ``alerts``: budgets that reached a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.budgets.models.crossings import Crossing
from opencode_cloud.budgets.service.alerts import NotTaken
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.parallel import each

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.alerts import Alerts

MOST_ATTEMPTS = 5
"""How often a webhook is tried; its failing for long is its owner's matter, not that of whoever runs the deployment."""


class AlertDeliveries:
    """Tells people of crossings, each once however often its message comes."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Deliver a batch; answer which messages are to come again.

        All at once, so that no workspace waits for the webhook of another.
        """
        records = event["Records"]
        delivered = each(self._deliver, records)
        failed = [record for record, done in zip(records, delivered, strict=True) if not done]
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}

    def _deliver(self, message: Mapping[str, Any]) -> bool:
        try:
            self._alerts.deliver(msgspec.json.decode(message["body"], type=Crossing))
        except NotTaken:
            if _attempts(message) < MOST_ATTEMPTS:
                return False
            count("WebhooksGivenUp")
            logger.warning("a webhook did not take an alert; it is not tried again")
        except Exception:  # noqa: BLE001 - one bad message must not fail the batch; it is logged and comes again
            logger.exception("alert was not delivered")
            return False
        return True


def _attempts(message: Mapping[str, Any]) -> int:
    return int(message.get("attributes", {}).get("ApproximateReceiveCount", "1"))
