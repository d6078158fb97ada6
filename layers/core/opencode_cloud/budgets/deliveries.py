"""Handle messages of the queue ``alerts``: budgets that reached a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.kit.batches import PartialBatch

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.alert_notifier import AlertNotifier


class AlertDeliveries:
    """Notifies people of reached thresholds: once for each, even if its message arrives several times."""

    def __init__(self, notifier: AlertNotifier) -> None:
        self._batch = PartialBatch(ThresholdReached, notifier.deliver)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Deliver a batch; return the messages that the queue must deliver again."""
        return self._batch.handle(event)
