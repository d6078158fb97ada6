"""Handle messages of the queue ``alerts``: budgets that reached a threshold."""

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
"""Attempts per webhook message. The webhook's owner, not the operator, has to act on a longer failure."""


class AlertDeliveries:
    """Notifies people of crossings: once for each crossing, even if its message arrives several times."""

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
        """Deliver a batch; return the messages that the queue must deliver again.

        Messages are handled in parallel, so that a slow webhook of one workspace does not delay another workspace.
        """
        return self._batch.handle(event)


def _give_up(_crossing: Crossing) -> None:
    count("WebhooksGivenUp")
    logger.warning("a webhook did not take an alert; it is not tried again")
