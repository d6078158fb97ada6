"""Spans go out in the background, in OpenTelemetry's JSON. A collector that fails costs spans, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from opencode_cloud.kit import otlp
from opencode_cloud.kit.otlp import Span, SpanExporter, encoded

SPAN = Span("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "", "chat gpt", 1000, 2500, {"tokens": 5})


class Collector:
    """Takes spans, or answers with an error."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.got: list[dict[str, Any]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        document = await request.json()
        self.got += document["resourceSpans"][0]["scopeSpans"][0]["spans"]
        return web.json_response({}, status=self.status)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Collector]:
        app = web.Application()
        app.router.add_post("/v1/traces", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0][:2]
        self.url = f"http://127.0.0.1:{port}/"
        try:
            yield self
        finally:
            await runner.cleanup()


async def _ended(exporter: SpanExporter) -> None:
    running = asyncio.create_task(exporter.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_batch_has_the_form_of_the_protocol() -> None:
    failed = SPAN._replace(parent_id="00f067aa0ba902b7", error="upstream_failed", attributes={"ok": True, "part": 0.5})
    document = json.loads(encoded([SPAN, failed], {"service.name": "gateway"}))
    (resource,) = document["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "gateway"}}]
    first, second = resource["scopeSpans"][0]["spans"]
    assert (first["traceId"], first["spanId"], first["kind"]) == (SPAN.trace_id, SPAN.span_id, 3)
    assert (first["startTimeUnixNano"], first["endTimeUnixNano"]) == ("1000000000", "2500000000")
    assert first["attributes"] == [{"key": "tokens", "value": {"intValue": "5"}}]
    assert (first["status"], "parentSpanId" in first) == ({}, False)
    assert second["parentSpanId"] == "00f067aa0ba902b7"
    assert second["status"] == {"code": 2, "message": "upstream_failed"}
    assert [it["value"] for it in second["attributes"]] == [{"boolValue": True}, {"doubleValue": 0.5}]


async def test_spans_that_wait_are_sent_before_the_end() -> None:
    async with Collector().serving() as collector:
        exporter = SpanExporter(collector.url, "gateway", "dev")
        for _ in range(otlp.BATCH + 1):
            exporter.add(SPAN)
        await _ended(exporter)
        assert len(collector.got) == otlp.BATCH + 1


@pytest.mark.parametrize("status", [500, 0])
async def test_a_collector_that_fails_costs_spans_only(status: int) -> None:
    async with Collector(status).serving() as collector:
        exporter = SpanExporter(collector.url if status else "http://127.0.0.1:1", "gateway", "dev")
        exporter.add(SPAN)
        await _ended(exporter)


def test_spans_that_nothing_takes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(otlp.log, "count", counted.append)
    exporter = SpanExporter("http://127.0.0.1:1", "gateway", "dev")
    for _ in range(otlp.MOST_WAITING + 3):
        exporter.add(SPAN)
    assert counted == ["SpansDropped"] * 3
