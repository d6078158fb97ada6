"""A front door in the test's own process, and the server behind it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from local.front_door.server import serve_until
from local.front_door.settings import Settings


@contextlib.asynccontextmanager
async def behind(answer: Any, port: int, **options: Any) -> AsyncIterator[None]:
    """Serve all requests to `port` by `answer`."""
    runner = web.ServerRunner(web.Server(answer, **options))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def front_door(settings: Settings) -> AsyncIterator[str]:
    """Run the front door and yield its address."""
    listener = socket.create_server(("127.0.0.1", settings.port))
    stopping = asyncio.Event()
    serving = asyncio.create_task(serve_until(stopping, settings, listener))
    try:
        yield f"http://127.0.0.1:{settings.port}"
    finally:
        stopping.set()
        await serving
