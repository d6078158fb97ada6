"""WebSockets in our own process: a protocol class for uvicorn, without a task or a queue for each socket.

The parser is that of the library ``websockets``, in its form without I/O. uvicorn's own classes start a task for each
socket and serialize each frame again. This class takes a third of their memory, and it writes a frame that was made
once to any number of sockets (docs/decisions/029).
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol, cast

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

ENDPOINT = "websockets"
"""The key of uvicorn's lifespan state under which the application puts its :class:`WebSocketEndpoint`."""
MESSAGE_BYTES = 128 * 1024
"""Longest message that a client may send. It equals API Gateway's limit."""
BACKLOG_BYTES = 1024 * 1024
"""Bytes that may wait for a reader that stalls. Beyond them the socket is closed with ``TRY_AGAIN_LATER``."""
INBOX_MESSAGES = 32
"""Messages of one socket that may wait for their turn. Beyond them the socket is not read."""
DRAIN_SECONDS = 60.0
"""Time in which a reader must take what :meth:`ServerSocket.drained` waits for."""
CLOSE_SECONDS = 5.0
"""Time that a peer has to answer a close frame before its connection is cut."""
DEFLATED_BYTES = 512
"""Shorter frames are sent as they are: they arrive no earlier when they are compressed."""

GOING_AWAY, UNEXPECTED, SERVICE_RESTART, TRY_AGAIN_LATER = 1001, 1011, 1012, 1013
_RSV1 = 0x40
_TAIL = b"\x00\x00\xff\xff"  # the end of a flushed block, which RFC 7692 section 7.2.1 removes


class PreparedFrame:
    """A text message that is serialized once for all its receivers."""

    # Not cached_property: before Python 3.12 all frames share its lock, so the event loop would wait for threads.
    __slots__ = ("_deflated", "_plain", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._plain: bytes | None = None
        self._deflated: bytes | None = None

    @property
    def plain(self) -> bytes:
        """The frame without compression."""
        if self._plain is None:
            self._plain = Frame(Opcode.TEXT, self.text).serialize(mask=False)
        return self._plain

    @property
    def deflated(self) -> bytes:
        """The frame for sockets that agreed on compression. No context is kept, so all of them get the same bytes."""
        if self._deflated is None:
            self._deflated = self._compressed()
        return self._deflated

    def _compressed(self) -> bytes:
        if len(self.text) < DEFLATED_BYTES:
            return self.plain
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = (packer.compress(self.text) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
        if len(data) >= len(self.text):
            return self.plain
        frame = Frame(Opcode.TEXT, data).serialize(mask=False)
        return bytes([frame[0] | _RSV1]) + frame[1:]


class WebSocketEndpoint(Protocol):
    """The application behind sockets. All its methods run on the event loop and must not block."""

    def connect(self, socket: ServerSocket) -> None:
        """Decide about a handshake: call :meth:`ServerSocket.accept` or :meth:`ServerSocket.refuse`, now or later."""
        ...

    async def receive(self, socket: ServerSocket, message: bytes) -> None:
        """Handle one message. Messages of one socket are handled one after another."""
        ...

    def closed(self, socket: ServerSocket) -> None:
        """Forget a socket that had been accepted."""
        ...

    def stop(self) -> None:
        """Prepare for the end of all sockets, because the process stops. It is called once for each socket."""
        ...


class ServerSocket(asyncio.Protocol):
    """One socket. uvicorn makes it when a request asks for an upgrade; see ``uvicorn.Config(ws=...)``."""

    __slots__ = (
        "_accepted",
        "_closing",
        "_deflate",
        "_endpoint",
        "_inbox",
        "_parser",
        "_parts",
        "_peers",
        "_request",
        "_room",
        "_task",
        "_transport",
        "connection_id",
        "heard_at",
    )

    def __init__(
        self,
        config: Any,  # noqa: ARG002 - uvicorn's interface
        server_state: Any,
        app_state: Mapping[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """``server_state`` holds the connections that uvicorn closes when it stops."""
        extension = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
        self._parser = ServerProtocol(max_size=MESSAGE_BYTES, extensions=[extension])
        self._endpoint: WebSocketEndpoint = app_state[ENDPOINT]
        self._peers: set[Any] = server_state.connections
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._inbox: list[bytes] = []
        self._parts: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None  # while the reader is slower than the sender
        self._accepted = self._closing = self._deflate = False
        self.connection_id = ""
        """The name that the application gives to the socket."""
        self.heard_at = time.monotonic()
        """When the peer was last heard of, by the monotonic clock."""

    # ------------------------------------------------------------------------------------ for the application

    @property
    def path(self) -> str:
        """Path and query of the handshake."""
        return self._request.path if self._request else ""

    def header(self, name: str) -> str:
        """Return a header of the handshake; empty without it."""
        values = self._request.headers.get_all(name) if self._request else []
        return values[0] if values else ""

    @property
    def is_open(self) -> bool:
        """True while frames can be sent."""
        return self._accepted and not self._closing

    def accept(self) -> None:
        """Answer the handshake with 101, or with the error of an invalid one."""
        if self._transport is None or self._request is None or self._closing:
            return
        response = self._parser.accept(self._request)
        self._parser.send_response(response)
        self._flush()
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._accepted = True
            self._deflate = bool(self._parser.extensions)
            self._request = None  # headers of a thousand sockets are not worth keeping
        else:
            self._cut()

    def refuse(self, status: int, body: str) -> None:
        """Answer the handshake with an error."""
        if self._transport is None or self._closing:
            return
        response = self._parser.reject(HTTPStatus(status), body)
        response.headers["Content-Type"] = "application/json"
        # CloudFront would answer all sockets of the path with it for ten seconds.
        response.headers["Cache-Control"] = "no-store"
        self._parser.send_response(response)
        self._flush()
        self._cut()

    def serialize(self, frames: Iterable[PreparedFrame]) -> None:
        """Make the bytes of ``frames`` for this socket now, on the calling thread, so that :meth:`send` need not."""
        for frame in frames:
            _ = frame.deflated if self._deflate else frame.plain

    def send(self, frames: Iterable[PreparedFrame]) -> bool:
        """Send frames in order; False if the socket is closed, or is closed now because its reader stalls."""
        transport = self._transport
        if transport is None or not self.is_open:
            return False
        for frame in frames:
            transport.write(frame.deflated if self._deflate else frame.plain)
        if transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.close(TRY_AGAIN_LATER)
            return False
        return True

    async def drained(self) -> bool:
        """Wait until the peer has read most of what was sent; False if the socket is closed, or is closed now.

        For senders of more than ``BACKLOG_BYTES``. A reader that takes too long is closed with ``TRY_AGAIN_LATER``.
        """
        if self._room is not None:
            taken, _ = await asyncio.wait([self._room], timeout=DRAIN_SECONDS)
            if not taken:
                self.close(TRY_AGAIN_LATER)
        return self.is_open

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        if self.is_open:
            self._parser.send_ping(b"")
            self._flush()

    def close(self, code: int = GOING_AWAY) -> None:
        """Close the socket with ``code``. The connection is cut if the peer does not answer in time."""
        if not self.is_open:
            return
        self._closing = True
        self._parser.send_close(code)
        self._flush()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    # ---------------------------------------------------------------------------------------- for uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection of a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._peers.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self.heard_at = time.monotonic()
        self._parser.receive_data(data)
        for event in self._parser.events_received():
            if isinstance(event, Request):
                self._request = event
                self._endpoint.connect(self)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()
        if self._parser.close_expected():
            self._closing = True
            self._cut()

    def pause_writing(self) -> None:
        """Have :meth:`drained` wait, because the transport's buffer is full."""
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """End the waiting."""
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """Forget the connection."""
        self._peers.discard(self)
        self.resume_writing()
        self._closing = True
        self._transport = None
        if self._accepted:
            self._endpoint.closed(self)

    def shutdown(self) -> None:
        """Ask the peer to go elsewhere, because this process stops."""
        self._endpoint.stop()
        if self._accepted:
            self.close(SERVICE_RESTART)
        self._cut()

    # ----------------------------------------------------------------------------------------- internals

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            return  # the parser answers them
        if frame.opcode is not Opcode.CONT:
            self._parts.clear()
        self._parts.append(bytes(frame.data))
        if not frame.fin or self._closing:
            return
        self._inbox.append(b"".join(self._parts))
        self._parts.clear()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        elif len(self._inbox) >= INBOX_MESSAGES and self._transport is not None:
            self._transport.pause_reading()

    async def _work(self) -> None:
        try:
            while self._inbox:
                await self._endpoint.receive(self, self._inbox.pop(0))
        finally:
            self._task = None
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _flush(self) -> None:
        chunks = self._parser.data_to_send()
        if chunks and self._transport is not None:
            self._transport.write(b"".join(chunks))

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.close()  # after the buffered bytes

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
