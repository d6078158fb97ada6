"""The function `deliver`: deliveries that outlast a response, such as a legacy replay or a push to many viewers."""

from __future__ import annotations

from opencode_cloud.composition.services.access import access_without_tokens
from opencode_cloud.composition.services.hubs import hubs_of
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import (
    ConnectionsTable,
    HubsSettings,
    KnownPeopleSettings,
    SharesSettings,
    WebSocketEndpoint,
)
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.deliveries import Deliveries
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.store import ConnectionStore, Tasks


class DeliverSettings(SharesSettings, KnownPeopleSettings, HubsSettings):
    """Environment variables of the function."""

    connections_table: ConnectionsTable
    websocket_endpoint: WebSocketEndpoint


def build(settings: DeliverSettings) -> Handler:
    """Return the handler."""
    stores = ShareStores.over(settings)
    store = stores.shares
    gate = ShareAccess(store, access_without_tokens(settings))
    fan_out = FanOut(store, sockets(settings.websocket_endpoint), Tasks(), gate, hubs_of(settings, store))
    connections = ConnectionStore(settings.connections_table)
    deliveries = Deliveries(store, connections, fan_out, Snapshots(store, stores.objects), gate)
    return frame(lambda event, _context: deliveries.handle(event))
