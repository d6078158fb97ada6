"""Deliveries that outlast an answer: a legacy viewer's replay, a push to many viewers."""

from typing import Any

from opencode_cloud.composition import data_plane
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.deliveries import Deliveries
from opencode_cloud.sharing.service import FanOut, Gate, Snapshots
from opencode_cloud.sharing.store import ConnectionStore, ObjectStore, ShareStore, Tasks

objects = ObjectStore(settings.text("SHARES_BUCKET"))
store = ShareStore(settings.text("SHARES_TABLE"), objects)
gate = Gate(store, data_plane.access_without_tokens())
fan_out = FanOut(store, sockets(settings.text("WEBSOCKET_ENDPOINT")), Tasks(), gate)
connections = ConnectionStore(settings.text("CONNECTIONS_TABLE"))
deliveries = Deliveries(store, connections, fan_out, Snapshots(store, objects), gate)


@frame
def handler(event: dict[str, Any], _context: Any) -> None:
    """Carry out one delivery."""
    deliveries.handle(event)
