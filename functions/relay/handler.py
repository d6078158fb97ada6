"""Relays what committed transactions promised, takes in audit entries of planes without SQL, and keeps house daily."""

from typing import Any

from opencode_cloud.audit.deliveries import AuditDeliveries
from opencode_cloud.audit.store import AuditArchive
from opencode_cloud.composition import control_plane
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.queues import Dispatch
from opencode_cloud.outbox.deliveries import RelayQueue

dispatch = Dispatch(
    {
        settings.text("RELAY_QUEUE_URL"): RelayQueue(control_plane.outbox()).handle,
        settings.text("AUDIT_QUEUE_URL"): AuditDeliveries(AuditArchive(control_plane.database())).handle,
    },
    control_plane.housekeeping().run,
)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of a queue, or the daily tick; answers which messages to send again."""
    return dispatch.handle(event)
