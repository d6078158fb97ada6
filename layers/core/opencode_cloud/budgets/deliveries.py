"""Handle messages of the queue ``alerts``: budgets that reached a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.budgets.service.alert_notifier import WebhookRejected
from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.kit.log import count, logger

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.alert_notifier import AlertNotifier

MOST_ATTEMPTS = 5
"""Attempts per webhook message. The webhook's owner, not the operator, has to act on a longer failure."""


class AlertDeliveries:
    """Notifies people of reached thresholds: once for each, even if its message arrives several times."""

    def __init__(self, notifier: AlertNotifier) -> None:
        self._batch = PartialBatch(
            ThresholdReached,
            notifier.deliver,
            max_receives=MOST_ATTEMPTS,
            on_exhausted=_give_up,
            exhausted_by=WebhookRejected,
            parallel=True,
        )

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Deliver a batch; return the messages that the queue must deliver again.

        Messages are handled in parallel, so that a slow webhook of one workspace does not delay another workspace.
        """
        return self._batch.handle(event)


def _give_up(_event: ThresholdReached) -> None:
    count("WebhooksGivenUp")
    logger.warning("a webhook did not take an alert; it is not tried again")
