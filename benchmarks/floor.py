"""The floor: a server that passes each publication on to every viewer without storing it. `python -m benchmarks.floor`.

The difference between it and our stage is the price of durability, order and secrecy, and of the emulator.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp import web

try:
    from uvloop import run
except ImportError:  # not on Windows
    from asyncio import run


class Broadcast:
    """POST /publish sends the body to every socket at /live."""

    def __init__(self) -> None:
        self._viewers: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """Return the application."""
        application = web.Application(client_max_size=16 * 1024 * 1024)
        application.add_routes([web.post("/publish", self.publish), web.get("/live", self.view)])
        return application

    async def publish(self, request: web.Request) -> web.Response:
        """Pass one publication on."""
        text = await request.text()
        for viewer in self._viewers:
            await viewer.send_str(text)
        return web.Response(text="{}")

    async def view(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one viewer until it disconnects."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._viewers.add(socket)
        try:
            async for message in socket:
                if message.type == aiohttp.WSMsgType.ERROR:
                    break
        finally:
            self._viewers.discard(socket)
        return socket


async def serve() -> None:
    """Listen on a free port of the loopback interface, print it, and serve until ended."""
    runner: Any = web.AppRunner(Broadcast().application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(serve())
