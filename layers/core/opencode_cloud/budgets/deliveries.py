"""Messages of the queue ``alerts``: budgets that reached a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.budgets.models.crossings import Crossing
from opencode_cloud.budgets.service.alerts import NotTaken
from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.kit.log import count, logger

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.alerts import Alerts

MOST_ATTEMPTS = 5
"""How often a webhook is tried. A longer failure is the business of the webhook's owner, not of the operator."""


class AlertDeliveries:
    """Tells people of crossings, each once however often its message comes."""

    def __init__(self, alerts: Alerts) -> None:
        self._batch = PartialBatch(
            Crossing,
            alerts.deliver,
            max_receives=MOST_ATTEMPTS,
            on_exhausted=_give_up,
            exhausted_by=NotTaken,
            parallel=True,
        )

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Deliver a batch; answer which messages are to come again.

        All at once, so that no workspace waits for the webhook of another.
        """
        return self._batch.handle(event)


def _give_up(_crossing: Crossing) -> None:
    count("WebhooksGivenUp")
    logger.warning("a webhook did not take an alert; it is not tried again")
