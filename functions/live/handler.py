"""WebSockets: viewers connect, resume and ping here, and publishers may sync."""

from typing import Any

from opencode_cloud.audit.queue import AuditQueue
from opencode_cloud.composition import data_plane
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.service import FanOut, Gate, Owning, Publishing, Viewing
from opencode_cloud.sharing.sockets import SharingSockets
from opencode_cloud.sharing.store import ConnectionStore, ObjectStore, ShareStore, Tasks


def no_session_key() -> str:
    """Refuse: this function creates no shares, so it has no right to the key."""
    raise RuntimeError("shares are created over HTTP")


objects = ObjectStore(settings.text("SHARES_BUCKET"))
store = ShareStore(settings.text("SHARES_TABLE"), objects)
tasks = Tasks(settings.text("DELIVER_FUNCTION"))
access = data_plane.access_without_tokens()
gate = Gate(store, access)
fan_out = FanOut(store, sockets(settings.text("WEBSOCKET_ENDPOINT")), tasks, gate)
viewing = Viewing(store, ConnectionStore(settings.text("CONNECTIONS_TABLE")), fan_out, tasks, gate)
owning = Owning(store, access, fan_out, AuditQueue(""))  # nobody takes a share over a socket: nothing to record
publishing = Publishing(store, fan_out, gate, owning, no_session_key)
routes = SharingSockets(viewing, publishing)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Answer one WebSocket event."""
    return routes.handle(event)
