"""The function `purge`: removes the data of deleted shares, verifies that, and ends expired shares."""

from __future__ import annotations

from opencode_cloud.composition.services.hubs import hubs_of
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import HubsSettings, PurgeQueueUrl, SharesSettings, WebSocketEndpoint
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.purges import Purges
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.service.fan_out import ViewerSockets
from opencode_cloud.sharing.store import Tasks


class PurgeSettings(SharesSettings, HubsSettings):
    """Environment variables of the function."""

    websocket_endpoint: WebSocketEndpoint
    purge_queue_url: PurgeQueueUrl


def build(settings: PurgeSettings) -> Handler:
    """Return the handler."""
    stores = ShareStores.over(settings)
    hubs = hubs_of(settings, stores.shares)
    viewer_sockets = ViewerSockets(stores.shares, sockets(settings.websocket_endpoint), hubs)
    purges = Purges(
        ShareDeletion(stores.shares, stores.objects, viewer_sockets, Tasks(purge_queue=settings.purge_queue_url))
    )
    return frame(lambda event, _context: purges.handle(event))
