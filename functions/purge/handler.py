"""Removes what belonged to shares that are gone, verifies it, and ends shares whose lifetime is over."""

from typing import Any

from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.purges import Purges
from opencode_cloud.sharing.service import Farewell, Removal
from opencode_cloud.sharing.store import ObjectStore, ShareStore, Tasks

objects = ObjectStore(settings.text("SHARES_BUCKET"))
store = ShareStore(settings.text("SHARES_TABLE"), objects)
tasks = Tasks(purge_queue=settings.text("PURGE_QUEUE_URL"))
farewell = Farewell(store, sockets(settings.text("WEBSOCKET_ENDPOINT")))
purges = Purges(Removal(store, objects, farewell, tasks))


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the purge queue, or a tick of the schedule."""
    return purges.handle(event)
