"""Sockets and HTTP requests of this package: URLs, limits, and conversion of errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from .backoff import Backoff
from .counters import Counters
from .errors import ConnectionLost, OpencodeCloudError, ProtocolError, RequestRefused, refusal
from .protocol import FRAME_LIMIT, Json, decode, encode

SOCKET_ERRORS = (OSError, TimeoutError, WebSocketException)
"""Exceptions of the websockets library when a connection fails or breaks."""

_INCOMING_LIMIT = 1024 * 1024
"""Largest message accepted from a server, in bytes: 32 times the protocol's limit."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class Server:
    """The address of an Opencode Cloud server, such as `https://cloud.example.com`."""

    url: str

    @classmethod
    def at(cls, url: str) -> Server:
        """Return the server at an http or https URL; raises ValueError for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"not an http(s) URL: {url!r}")
        return cls(urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")))

    @property
    def live(self) -> str:
        """Return the URL of its live protocol."""
        return f"ws{self.url.removeprefix('http')}/live"

    def resolve(self, href: str) -> str:
        """Return the URL of an href from a frame; raises ProtocolError if it leads to another server."""
        target = urljoin(f"{self.url}/", href)
        if urlsplit(target)[:2] != urlsplit(self.url)[:2]:
            raise ProtocolError(f"an href leads to another server: {href!r}")
        return target


class Http:
    """HTTP requests to one server, repeated after temporary failures."""

    def __init__(
        self, server: Server, counters: Counters, backoff: Backoff, client: httpx.AsyncClient | None = None
    ) -> None:
        self._server = server
        self.counters = counters
        self._backoff = backoff
        self._owned = client is None
        self._client = client or httpx.AsyncClient(timeout=_TIMEOUT)

    async def get(self, href: str, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
        """Return the body at a path of the server. Follow redirects, because large bodies are in storage."""
        return await self._request("GET", self._server.resolve(href), None, headers)

    async def call(self, method: str, path: str, body: Json, headers: Mapping[str, str] = NO_HEADERS) -> Json:
        """Return the JSON answer to a JSON request."""
        return decode(await self._request(method, self._server.url + path, encode(body), headers))

    async def post(self, path: str, body: Json, headers: Mapping[str, str]) -> Json:
        """Return the JSON answer to a POST."""
        return await self.call("POST", path, body, headers)

    async def close(self) -> None:
        """Close the connections, unless they belong to a client that was passed in."""
        if self._owned:
            await self._client.aclose()

    async def _request(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> bytes:
        """Send one request, and repeat it after temporary failures. Every request is idempotent."""
        failures = 0
        while True:
            try:
                return await self._once(method, url, content, headers)
            except OpencodeCloudError as error:
                failures += 1
                if not _may_pass(error) or self._backoff.exhausted(failures):
                    raise
            await asyncio.sleep(self._backoff.delay(failures))

    async def _once(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> bytes:
        sent = {**headers, **({"content-type": "application/json"} if content is not None else {})}
        try:
            response = await self._client.request(method, url, content=content, headers=sent, follow_redirects=False)
            if response.next_request is not None:  # httpx would send our headers to the redirect's target
                target = str(response.next_request.url)
                near = urlsplit(target)[:2] == urlsplit(self._server.url)[:2]
                response = await self._client.get(target, headers=headers if near else {}, follow_redirects=True)
        except httpx.HTTPError as error:
            raise ConnectionLost(f"{method} {url}: {error or type(error).__name__}") from error
        self.counters.http_bytes_received += response.num_bytes_downloaded
        if not response.is_success:
            raise _refusal(response.status_code, response.content)
        return response.content


async def open_socket(server: Server, counters: Counters, open_timeout: float) -> ClientConnection:
    """A socket of the live protocol.

    Raises RequestRefused if the server declines the handshake, ConnectionLost if it cannot be reached.
    """
    try:
        socket = await connect(
            server.live,
            compression=None,  # API Gateway offers none
            open_timeout=open_timeout,
            close_timeout=1,
            ping_interval=None,  # the protocol has its own ping, which also detects missed items
            max_size=_INCOMING_LIMIT,
        )
    except InvalidStatus as error:
        raise _refusal(error.response.status_code, bytes(error.response.body or b"")) from error
    except SOCKET_ERRORS as error:
        raise ConnectionLost(f"{server.live}: {error or type(error).__name__}") from error
    counters.connections += 1
    return socket


async def receive(socket: ClientConnection, counters: Counters) -> bytes:
    """Return the next message. It can be cancelled without loss."""
    raw = await socket.recv(decode=False)
    counters.frames_received += 1
    counters.socket_bytes_received += len(raw)
    counters.largest_frame = max(counters.largest_frame, len(raw))
    return raw


async def send(socket: ClientConnection, counters: Counters, message: bytes) -> None:
    """Send a text message, in several frames if it is larger than one frame may be."""
    counters.frames_sent += 1
    counters.socket_bytes_sent += len(message)
    await socket.send(message if len(message) <= FRAME_LIMIT else fragments(message), text=True)


def fragments(message: bytes) -> Iterator[bytes]:
    """Return `message` in pieces that fit a frame."""
    return (message[start : start + FRAME_LIMIT] for start in range(0, len(message), FRAME_LIMIT))


def _may_pass(error: OpencodeCloudError) -> bool:
    return isinstance(error, ConnectionLost) or (isinstance(error, RequestRefused) and error.transient)


def _refusal(status: int, body: bytes) -> RequestRefused:
    """Return the exception for an HTTP error answer. `body` is our JSON, or the answer of a proxy."""
    try:
        answer = decode(body)
    except ProtocolError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    correlation_id = answer.get("correlation_id")
    return refusal(
        str(answer.get("error", f"http_{status}")),
        str(answer.get("message", f"the server answered {status}")),
        status=status,
        correlation_id=correlation_id if isinstance(correlation_id, str) else None,
    )
