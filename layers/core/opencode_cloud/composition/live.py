"""The function `live`: WebSockets, on which viewers connect, resume and ping, and publishers may sync."""

from __future__ import annotations

from typing import Annotated

from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.composition.services.access import access_without_tokens
from opencode_cloud.composition.services.hubs import hubs_of
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import (
    AnonymousSharingSettings,
    AuditQueueUrl,
    ConnectionsTable,
    DeliverFunction,
    HubsSettings,
    KnownPeopleSettings,
    SharesSettings,
    WebSocketEndpoint,
)
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.models import RedactionMode
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.viewing import MOST_VIEWERS, Viewing
from opencode_cloud.sharing.sockets import SharingSockets
from opencode_cloud.sharing.store import ConnectionStore, Tasks


class LiveSettings(SharesSettings, KnownPeopleSettings, AnonymousSharingSettings, HubsSettings):
    """Environment variables of the function."""

    connections_table: ConnectionsTable
    websocket_endpoint: WebSocketEndpoint
    deliver_function: DeliverFunction
    audit_queue_url: AuditQueueUrl
    viewers_per_share: Annotated[int, "the number of sockets that may follow one share"] = MOST_VIEWERS


def build(settings: LiveSettings) -> Handler:
    """Return the handler."""
    store = ShareStores.over(settings).shares
    tasks = Tasks(settings.deliver_function)
    access = access_without_tokens(settings)
    gate = ShareAccess(store, access)
    fan_out = FanOut(store, sockets(settings.websocket_endpoint), tasks, gate, hubs_of(settings, store))
    connections = ConnectionStore(settings.connections_table)
    viewing = Viewing(store, connections, fan_out, tasks, gate, most_viewers=settings.viewers_per_share)
    owning = Owning(store, access, fan_out, AuditQueue(settings.audit_queue_url))
    redaction = RedactionMode(settings.anonymous_redaction)
    publishing = Publishing(store, fan_out, gate, owning, _no_session_key, limits=settings.limits, redaction=redaction)
    routes = SharingSockets(viewing, publishing, owning)
    # Its rules ask for no address and no host, so it needs no right to the CDN's secret, and believes no header.
    return frame(lambda event, _context: routes.handle(event))


def _no_session_key() -> str:
    """Refuse: this function creates no shares, so it has no right to the key."""
    raise RuntimeError("shares are created over HTTP")
