"""A collector of OpenTelemetry over HTTP, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

from aiohttp import web


class Exporter(Protocol):
    """Sends in the background."""

    async def run(self) -> None: ...


class Collector:
    """Takes spans and metrics, or answers with an error."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.url = ""

    async def _spans(self, request: web.Request) -> web.Response:
        (resource,) = (await request.json())["resourceSpans"]
        self.spans += resource["scopeSpans"][0]["spans"]
        return web.json_response({}, status=self.status)

    async def _metrics(self, request: web.Request) -> web.Response:
        (resource,) = (await request.json())["resourceMetrics"]
        self.metrics += resource["scopeMetrics"][0]["metrics"]
        return web.json_response({}, status=self.status)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Collector]:
        app = web.Application()
        app.router.add_post("/v1/traces", self._spans)
        app.router.add_post("/v1/metrics", self._metrics)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, port = runner.addresses[0][:2]
        self.url = f"http://127.0.0.1:{port}/"
        try:
            yield self
        finally:
            await runner.cleanup()


async def send_all(exporter: Exporter) -> None:
    """Let ``exporter`` send what waits, as at its end."""
    running = asyncio.create_task(exporter.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
