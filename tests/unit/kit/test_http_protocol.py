"""An answer's head goes with its body, and alone where no body follows at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import uvicorn

from opencode_cloud.kit.http_protocol import HttpProtocol, JoinedWrites

Send = Callable[[dict[str, Any]], Awaitable[None]]
WAIT = 60.0
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Reader(asyncio.Protocol):
    """A client that keeps each piece as it arrives."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = asyncio.Event()
        self.came = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self.came.set()

    async def until(self, end: bytes) -> bytes:
        """Return all that came, up to ``end``."""
        async with asyncio.timeout(WAIT):
            while end not in b"".join(self.pieces) and not self.ended.is_set():
                self.came.clear()
                await self.came.wait()
        return b"".join(self.pieces)


class Transport:
    """A transport that records calls which send."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        if name in ("write", "writelines"):
            Counted.writes.append(name)
        return getattr(self._transport, name)


class Counted(HttpProtocol):
    """The protocol over a transport that records."""

    writes: list[str]

    def connection_made(self, transport: Any) -> None:
        Counted.writes = []
        super().connection_made(cast("Any", Transport(transport)))


class Upgraded(asyncio.Protocol):
    """A protocol of sockets that tells the kind of its transport."""

    def __init__(self, **_: Any) -> None:
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        kind = "joined" if isinstance(self.transport, JoinedWrites) else "own"
        self.transport.write(f"the transport is its {kind}.".encode())


@asynccontextmanager
async def client(answer: Callable[[Send], Awaitable[None]]) -> AsyncGenerator[tuple[Reader, asyncio.Transport]]:
    """Serve ``answer``, and yield a connection to it."""

    async def application(scope: dict[str, Any], _receive: Any, send: Send) -> None:
        assert scope["type"] == "http"
        await answer(send)

    listener = socket.create_server(("127.0.0.1", 0))
    options: Any = {"http": Counted, "ws": Upgraded, "lifespan": "off", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(application, **options))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    loop = asyncio.get_running_loop()
    transport, reader = await loop.create_connection(Reader, "127.0.0.1", listener.getsockname()[1])
    try:
        yield reader, transport
    finally:
        transport.close()
        server.should_exit = True
        await serving


def start(length: int | None) -> dict[str, Any]:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _short(send: Send) -> None:
    await send(start(5))
    await send(body(b"short"))


async def _slow(send: Send) -> None:
    await send(start(None))
    await asyncio.sleep(0.3)
    await send(body(b"HTTP/1.1 begins this text", more=True))
    await send(body(b" and this ends it"))


async def _empty(send: Send) -> None:
    await send(start(0))
    await send(body(b""))


async def test_a_short_answer_is_one_call_of_the_system() -> None:
    async with client(_short) as (reader, transport):
        transport.write(REQUEST)
        assert (await reader.until(b"short")).startswith(b"HTTP/1.1 200 OK\r\n")
        transport.write(REQUEST)  # the connection is kept
        await reader.until(b"short" + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshort")
    assert Counted.writes == ["writelines", "writelines"]


async def test_an_answer_without_a_body_is_sent() -> None:
    async with client(_empty) as (reader, transport):
        transport.write(REQUEST)
        assert (await reader.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_the_head_of_a_stream_does_not_wait_for_its_body() -> None:
    async with client(_slow) as (reader, transport):
        transport.write(REQUEST)
        await reader.until(b"\r\n\r\n")
        assert reader.pieces[0].endswith(b"transfer-encoding: chunked\r\n\r\n")
        whole = await reader.until(b"0\r\n\r\n")
        assert whole.endswith(b"19\r\nHTTP/1.1 begins this text\r\n11\r\n and this ends it\r\n0\r\n\r\n")


async def test_a_refused_request_is_answered_before_the_end() -> None:
    async with client(_short) as (reader, transport):
        transport.write(b"nonsense\r\n\r\n")
        async with asyncio.timeout(WAIT):
            await reader.ended.wait()
        assert b"".join(reader.pieces).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"".join(reader.pieces).endswith(b"Invalid HTTP request received.")


async def test_a_socket_gets_the_transport_itself() -> None:
    async with client(_short) as (reader, transport):
        transport.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert await reader.until(b"own.") == b"the transport is its own."
