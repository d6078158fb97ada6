"""WebSockets: viewers connect, resume and ping here, and publishers may sync."""

from typing import Any

from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.service import FanOut, Publishing, Viewing
from opencode_cloud.sharing.sockets import SharingSockets
from opencode_cloud.sharing.store import ConnectionStore, ObjectStore, ShareStore, Tasks


def no_session_key() -> str:
    """Refuse: this function creates no shares, so it has no right to the key."""
    raise RuntimeError("shares are created over HTTP")


objects = ObjectStore(settings.text("SHARES_BUCKET"))
store = ShareStore(settings.text("SHARES_TABLE"), objects)
tasks = Tasks(settings.text("DELIVER_FUNCTION"))
fan_out = FanOut(store, sockets(settings.text("WEBSOCKET_ENDPOINT")), tasks)
viewing = Viewing(store, ConnectionStore(settings.text("CONNECTIONS_TABLE")), fan_out, tasks)
routes = SharingSockets(viewing, Publishing(store, fan_out, no_session_key))


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Answer one WebSocket event."""
    return routes.handle(event)
