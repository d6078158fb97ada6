"""Takes a connection out of the HTTP server's hands when its request asks for a WebSocket."""

import asyncio
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from infra.routes import Route, Target
from local.front_door import refusals
from local.front_door.forwarding import FORWARDED, forwarded
from local.front_door.settings import Settings
from local.front_door.websocket import OriginSide, Relay, ViewerSide


class Relayed(web.Response):
    """An answer that the relay has passed to the viewer already. The HTTP server must not send it again."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send no head."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send no body."""


def is_upgrade(request: web.BaseRequest) -> bool:
    """Tell whether a request asks for a WebSocket."""
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


async def relay_websocket(request: web.BaseRequest, route: Route, settings: Settings) -> web.StreamResponse:
    """Connect the viewer with the WebSocket API or the hub, and return when either has left.

    Raises:
        Refusal: It cannot be reached.
    """
    viewer = request.transport
    if viewer is None:  # gone already
        return Relayed()
    origin = origin_of(route, settings)
    relay = Relay(viewer, settings.quotas)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: OriginSide(relay), origin.hostname or "", origin.port or 80
        )
    except OSError:
        relay.forget()
        raise refusals.unavailable() from None
    relay.origin = transport
    # From here on the HTTP server sees only the end of the connection.
    viewer.set_protocol(ViewerSide(relay, viewer.get_protocol()))
    transport.write(handshake(request, route, settings))
    await relay.finished.wait()
    if relay.refusal is None:
        return Relayed()
    status, headers = relay.refusal
    return Relayed(status=status, headers=headers)


def origin_of(route: Route, settings: Settings) -> SplitResult:
    """Return the URL that takes the WebSockets of a route."""
    return urlsplit(settings.hub_url if route.target is Target.HUB else settings.websocket_url)


def handshake(request: web.BaseRequest, route: Route, settings: Settings) -> bytes:
    """Return the viewer's handshake for the origin, with the origin's path and the viewer's address."""
    origin = origin_of(route, settings)
    target = request.raw_path
    if route.target is Target.WEBSOCKET:
        target = f"{origin.path}?{route.rewrite_query(request.raw_path.partition('?')[2])}"
    ours = forwarded(request.host, request.remote or "", request.headers, settings)
    raw = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
    passed = [(name, value) for name, value in raw if name.lower() not in {"host", *FORWARDED}]
    lines = [f"GET {target} HTTP/1.1", f"Host: {origin.netloc}"]
    lines += [f"{name}: {value}" for name, value in (*passed, *ours.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
