"""Process messages of the queue ``webhooks``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.webhooks.service.sending import pause

if TYPE_CHECKING:
    from opencode_cloud.kit.batches import QueueMessage
    from opencode_cloud.webhooks.service.sending import DeliverySender


class WebhookMessage(msgspec.Struct, frozen=True):
    """A message of the queue ``webhooks``."""

    webhook: str


class Delays(Protocol):
    """A queue that can delay a message."""

    def put_off(self, receipt: str, seconds: int) -> None:
        """Deliver a message again after ``seconds``."""
        ...


class WebhookDeliveries:
    """Sends the deliveries of a batch; one that was not accepted comes again after a pause that grows."""

    def __init__(self, sender: DeliverySender, queue: Delays) -> None:
        self._queue = queue
        self._batch = PartialBatch(
            WebhookMessage,
            lambda message: sender.send(message.webhook),
            on_redelivery=self._put_off,
            # A slow webhook of one workspace does not delay another workspace.
            parallel=True,
        )

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Send a batch; return the messages that the queue must deliver again."""
        return self._batch.handle(event)

    def _put_off(self, message: QueueMessage) -> None:
        self._queue.put_off(message.receipt_handle, pause(message.receives))
