"""The function `deliver`: deliveries that outlast a response, such as a legacy replay or a push to many viewers."""

from __future__ import annotations

from opencode_cloud.composition.services.access import access_without_tokens
from opencode_cloud.composition.services.hubs import hubs_of
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import (
    AnonymousRedactionSettings,
    ConnectionsTable,
    HubsSettings,
    KnownPeopleSettings,
    SharesSettings,
    WebSocketEndpoint,
)
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.deliveries import Deliveries
from opencode_cloud.sharing.models import RedactionMode
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.redaction import SecretRedaction
from opencode_cloud.sharing.service.rescan import Rescan
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.store import ConnectionStore, Tasks


class DeliverSettings(SharesSettings, KnownPeopleSettings, AnonymousRedactionSettings, HubsSettings):
    """Environment variables of the function."""

    connections_table: ConnectionsTable
    websocket_endpoint: WebSocketEndpoint


def build(settings: DeliverSettings) -> Handler:
    """Return the handler."""
    stores = ShareStores.over(settings)
    store = stores.shares
    allowed = access_without_tokens(settings)
    gate = ShareAccess(store, allowed)
    fan_out = FanOut(store, sockets(settings.websocket_endpoint), Tasks(), gate, hubs_of(settings, store))
    connections = ConnectionStore(settings.connections_table)
    snapshots, redaction = Snapshots(store, stores.objects), RedactionMode(settings.anonymous_redaction)
    rescan = Rescan(store, stores.objects, snapshots, fan_out, gate, SecretRedaction(store, redaction))
    deliveries = Deliveries(store, connections, fan_out, snapshots, gate, rescan)
    return frame(lambda event, _context: deliveries.handle(event))
