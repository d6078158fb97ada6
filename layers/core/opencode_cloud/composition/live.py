"""The function `live`: WebSockets, on which viewers connect, resume and ping, and publishers may sync."""

from __future__ import annotations

from dataclasses import dataclass

from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.composition.services.access import access_without_tokens
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import (
    ConnectionsTable,
    DeliverFunction,
    KnownPeopleSettings,
    OriginSecret,
    SharesSettings,
    WebSocketEndpoint,
)
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.service import FanOut, Owning, Publishing, ShareAccess, Viewing
from opencode_cloud.sharing.sockets import SharingSockets
from opencode_cloud.sharing.store import ConnectionStore, Tasks


@dataclass(frozen=True, kw_only=True)
class LiveSettings(SharesSettings, KnownPeopleSettings):
    """Environment variables of the function."""

    connections_table: ConnectionsTable
    origin_secret: OriginSecret
    websocket_endpoint: WebSocketEndpoint
    deliver_function: DeliverFunction


def build(settings: LiveSettings) -> Handler:
    """Return the handler."""
    store = ShareStores.over(settings).shares
    tasks = Tasks(settings.deliver_function)
    access = access_without_tokens(settings)
    gate = ShareAccess(store, access)
    fan_out = FanOut(store, sockets(settings.websocket_endpoint), tasks, gate)
    viewing = Viewing(store, ConnectionStore(settings.connections_table), fan_out, tasks, gate)
    # Shares change owners over HTTP only, so this function has nothing to record in the audit log.
    owning = Owning(store, access, fan_out, AuditQueue(""))
    routes = SharingSockets(viewing, Publishing(store, fan_out, gate, owning, _no_session_key))
    return frame(behind_edge(lambda event, _context: routes.handle(event), lambda: aws.secret(settings.origin_secret)))


def _no_session_key() -> str:
    """Refuse: this function creates no shares, so it has no right to the key."""
    raise RuntimeError("shares are created over HTTP")
