"""Listens, and leads each connection by its first request to the HTTP side or to a WebSocket relay."""

import asyncio
import logging
import signal
import socket
from typing import cast
from urllib.parse import urlsplit

from aiohttp import web

from infra.routes import Route, Target, match
from local.front_door import refusals
from local.front_door.forwarding import FORWARDED, forwarded
from local.front_door.http import HttpDoor
from local.front_door.refusals import Refusal
from local.front_door.settings import Settings
from local.front_door.websocket import OriginSide, Relay, ViewerSide

logger = logging.getLogger("local.front_door")

LONGEST_LINE = 16 * 1024
"""Bytes of a header line that the parser accepts; the quota is checked afterwards, to refuse in JSON."""

HEAD_END = b"\r\n\r\n"


class Receptionist(asyncio.Protocol):
    """Reads the first request of a connection as far as needed to know where it leads.

    Clients open a connection of its own for each WebSocket, so what starts as plain HTTP stays with the HTTP side.
    """

    def __init__(self, settings: Settings, http: web.Server) -> None:
        self._settings = settings
        self._http = http
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()
        self._relaying: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        # uvloop's transports have the methods of asyncio's, not its base class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect the head of the first request, then hand the connection over."""
        self._head += data
        line, complete, _ = bytes(self._head).partition(b"\r\n")
        if not complete and len(self._head) < LONGEST_LINE:
            return
        route = route_of(line)
        if route is None or not is_upgrade(self._head):
            if route is not None and HEAD_END not in self._head and len(self._head) < LONGEST_LINE:
                return
            self._hand_to_http()
        else:
            self._relaying = asyncio.get_running_loop().create_task(self._relay(route))

    def _hand_to_http(self) -> None:
        transport = self._connected
        protocol = self._http()
        protocol.connection_made(transport)
        transport.set_protocol(protocol)
        protocol.data_received(bytes(self._head))

    async def _relay(self, route: Route) -> None:
        viewer = self._connected
        relay = Relay(viewer, self._settings.quotas)
        viewer_side = ViewerSide(relay)
        viewer.set_protocol(viewer_side)
        head, _, early = bytes(self._head).partition(HEAD_END)
        try:
            handshake = self._handshake(route, head)
            origin = urlsplit(self._settings.websocket_url)
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: OriginSide(relay), origin.hostname or "", origin.port or 80
            )
        except OSError:
            refuse(viewer, refusals.unavailable())
            return
        except Refusal as refusal:
            refuse(viewer, refusal)
            return
        transport.write(handshake)
        relay.origin = transport
        if viewer.is_closing():
            relay.closed()
        if early:
            relay.viewer_sent(early)
        viewer_side.origin_reached()

    def _handshake(self, route: Route, head: bytes) -> bytes:
        """Return the viewer's handshake as the API gets it: the path it knows, and who asked."""
        if len(head) > self._settings.quotas.http_headers:
            raise refusals.headers_too_large(self._settings.quotas.http_headers)
        lines = head.decode("latin-1").split("\r\n")
        query = lines[0].split(" ")[1].partition("?")[2]
        headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        given = {name.lower(): value for name, value in headers}
        origin = urlsplit(self._settings.websocket_url)
        peer = self._connected.get_extra_info("peername")[0]
        ours = forwarded(given.get("host", ""), peer, given, trust_proxy=self._settings.trust_proxy)
        kept = [(name, value) for name, value in headers if name.lower() not in {"host", *FORWARDED}]
        target = f"{origin.path}?{route.rewrite_query(query)}"
        out = [f"GET {target} HTTP/1.1", f"Host: {origin.netloc}"]
        out += [f"{name}: {value}" for name, value in (*kept, *ours.items())]
        return "\r\n".join(out).encode("latin-1") + HEAD_END

    @property
    def _connected(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("data came before a connection")
        return self._transport


def route_of(request_line: bytes) -> Route | None:
    """Return the WebSocket route of a request line, or None when it leads to the HTTP API."""
    parts = request_line.split(b" ")
    if len(parts) != 3 or parts[0] != b"GET" or not parts[1].startswith(b"/"):
        return None
    route = match(parts[1].partition(b"?")[0].decode("latin-1"))
    return route if route.target is Target.WEBSOCKET else None


def is_upgrade(head: bytearray) -> bool:
    """Say whether a whole head asks for a WebSocket."""
    end = head.find(HEAD_END)
    return end >= 0 and b"\r\nupgrade: websocket" in head[:end].lower()


def refuse(transport: asyncio.Transport, refusal: Refusal) -> None:
    """Answer a handshake with an error, and close."""
    body = refusal.body()
    head = (
        f"HTTP/1.1 {refusal.status} Refused\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    transport.write(head.encode() + body)
    transport.close()


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    door = HttpDoor(settings)
    await door.open()
    http = web.Server(
        door,
        access_log=None,
        keepalive_timeout=75,
        max_field_size=LONGEST_LINE,
        max_headers=256,
        max_line_size=LONGEST_LINE,
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receptionist(settings, http), sock=listener, backlog=2048)
    stopping = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stopping.set)
    logger.warning("front door open on http://%s:%d", settings.host, settings.port)
    await stopping.wait()
    server.close()
    await http.shutdown(timeout=2)
    await door.close()
