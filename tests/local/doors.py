"""A front door in the test's own process, and the server behind it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiohttp import web

from local.front_door.server import serve_until
from local.front_door.settings import Settings


@contextlib.asynccontextmanager
async def behind(answer: Any, **options: Any) -> AsyncIterator[str]:
    """Serve requests by `answer` and yield the server's host and port."""
    runner = web.ServerRunner(web.Server(answer, **options))
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listener).start()
        yield _address_of(listener)
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def closed() -> Iterator[str]:
    """Yield a host and a port that refuse connections. The port is bound, so that no other program can take it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield _address_of(bound)


@contextlib.asynccontextmanager
async def front_door(settings: Settings) -> AsyncIterator[str]:
    """Run the front door on a port that the system chooses, and yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = asyncio.Event()
    serving = asyncio.create_task(serve_until(stopping, settings, listener))
    try:
        yield f"http://{_address_of(listener)}"
    finally:
        stopping.set()
        await serving


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"{host}:{port}"
