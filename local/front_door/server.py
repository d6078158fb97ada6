"""Listen, and route each request by its path to the HTTP side or, upgraded, to a WebSocket relay."""

import asyncio
import logging
import signal
import socket

from aiohttp import web

from infra.routes import HUB_ROUTES, ROUTES, Route, Target, match
from local.front_door import refusals
from local.front_door.error_cache import ErrorCache
from local.front_door.http import HttpDoor
from local.front_door.hub import HubDoor
from local.front_door.refusals import Refusal
from local.front_door.settings import Settings
from local.front_door.site import SiteDoor
from local.front_door.streaming import StreamDoor
from local.front_door.upgrade import is_upgrade, relay_websocket

logger = logging.getLogger("local.front_door")

LONGEST_LINE = 16 * 1024
"""Bytes of a header line that the parser accepts; the quota is checked afterwards, to refuse in JSON."""

BACKLOG = 2048
"""The backlog of connections, because a thousand viewers may connect at once."""


class FrontDoor:
    """Answers every request that reaches the port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = HttpDoor(settings)
        self._site = SiteDoor(settings)
        self._stream = StreamDoor(settings)
        self._hub = HubDoor(settings)
        self._errors = ErrorCache(settings.error_seconds)
        self._routes = HUB_ROUTES if settings.hub_url else ROUTES

    async def open(self) -> None:
        """Create the clients, on the running loop."""
        await self._http.open()
        await self._stream.open()
        await self._hub.open()

    async def close(self) -> None:
        """Close the connections to the APIs, to the gateway and to the hub."""
        await self._http.close()
        await self._stream.close()
        await self._hub.close()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or relay one WebSocket until its end.

        A viewer's disconnect cancels this handler, and with it a stream from the gateway. Functions run to the end, as
        behind API Gateway.
        """
        # An absolute form without a path, and the asterisk of OPTIONS, have none that starts with a slash.
        route = match(request.path if request.path.startswith("/") else "/", self._routes)
        if kept := self._errors.find(request, route):
            return kept
        if route.target is Target.STREAM:
            return self._errors.keep(request, route, await self._stream_from_gateway(request))
        return await asyncio.shield(self._answer(request, route))

    async def _stream_from_gateway(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._check_headers(request)
            return await self._stream.forward(request)
        except Refusal as refusal:
            return _response(refusal.status, refusal.body_for_models())

    async def _answer(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        return self._errors.keep(request, route, await self._answer_of_origin(request, route))

    async def _answer_of_origin(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        try:
            self._check_headers(request)
            if route.target is Target.HTTP:
                return await self._http.forward(request)
            if route.target is Target.SITE:
                return await self._site.answer(request)
            if route.target is Target.HUB and not is_upgrade(request):
                return await self._hub.forward(request)
            if is_upgrade(request):
                return await relay_websocket(request, route, self._settings)
            raise refusals.not_a_websocket(request.path)
        except Refusal as refusal:
            return _response(refusal.status, refusal.body())

    def _check_headers(self, request: web.BaseRequest) -> None:
        if not self._settings.allows(request.headers.get("Host", "")):
            raise refusals.other_host()
        size = len(request.raw_path) + sum(len(name) + len(value) for name, value in request.raw_headers)
        if size > self._settings.quotas.http_headers:
            raise refusals.headers_too_large(self._settings.quotas.http_headers)


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stopping.set)
    await serve_until(stopping, settings, listener)


async def serve_until(stopping: asyncio.Event, settings: Settings, listener: socket.socket | None = None) -> None:
    """Serve until `stopping` is set, on `listener` or a socket of our own."""
    door = FrontDoor(settings)
    await door.open()
    http = web.Server(
        door,
        access_log=None,
        # Packed bodies pass unchanged, as through CloudFront: an unpacked one would not have the length of its header.
        auto_decompress=False,
        handler_cancellation=True,
        keepalive_timeout=75,
        max_field_size=LONGEST_LINE,
        max_headers=256,
        max_line_size=LONGEST_LINE,
    )
    listener = listener or socket.create_server((settings.host, settings.port), backlog=BACKLOG)
    server = await asyncio.get_running_loop().create_server(http, sock=listener, backlog=BACKLOG)
    logger.warning("front door open on http://%s:%d", settings.host, settings.port)
    await stopping.wait()
    server.close()
    await http.shutdown(timeout=2)
    await door.close()


def _response(status: int, body: bytes) -> web.Response:
    response = web.Response(status=status, body=body, content_type="application/json")
    response.headers.update({"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"})
    return response
