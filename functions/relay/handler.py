"""Relays what committed transactions promised to tell the other planes, when who committed did not get to it."""

from typing import Any

from opencode_cloud import wiring
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.outbox.deliveries import RelayQueue

queue = RelayQueue(wiring.outbox())


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the relay's queue; answers which messages to send again."""
    return queue.handle(event)
