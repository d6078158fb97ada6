"""Spans by OTLP/HTTP in JSON, in the background.

OpenTelemetry's own library takes 180 ms of processor time to import, and this module 4 ms.

Reference: OpenTelemetry Protocol 1.x, "OTLP/HTTP", and the JSON mapping of `opentelemetry.proto.trace.v1`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.async_http import aiohttp
from opencode_cloud.kit.aws_api.errors import AwsError
from opencode_cloud.kit.release import VERSION
from opencode_cloud.kit.tls import trusting
from opencode_cloud.kit.xray import signature_of

MOST_WAITING = 2048
"""Spans that wait for the next batch. Beyond it, the oldest is dropped, so that a dead collector costs no memory."""

BATCH = 512
EVERY_SECONDS = 5.0
POST_SECONDS = 10.0
CLIENT = 3
"""The kind of a span that stands for a call to another service."""

HEADERS: Mapping[str, str] = {"content-type": "application/json"}

ERROR = 2
"""The status of a span whose call failed."""

Value = str | int | float | bool


class Span(NamedTuple):
    """One finished span. Ids are hexadecimal: 32 digits of the trace, 16 of a span. Times are milliseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first span of a trace."""
    name: str
    start_ms: int
    end_ms: int
    attributes: Mapping[str, Value]
    error: str = ""
    """Code of the error; empty for a call that succeeded."""


class SpanExporter:
    """Sends spans to a collector. A failure loses spans, and never a call."""

    def __init__(self, endpoint: str, service: str, stage: str) -> None:
        """Send to ``endpoint``, the base URL of a collector or of X-Ray, as ``service`` of ``stage``."""
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._sign = signature_of(self._url)
        self._resource = {"service.name": service, "service.version": VERSION, "deployment.environment.name": stage}
        self._waiting: deque[Span] = deque(maxlen=MOST_WAITING)
        self._wakeup = asyncio.Event()

    def add(self, span: Span) -> None:
        """Send a span with the next batch."""
        if len(self._waiting) == MOST_WAITING:
            log.count("SpansDropped")
        self._waiting.append(span)
        if len(self._waiting) >= BATCH:
            self._wakeup.set()

    async def run(self) -> None:
        """Send batches until cancelled, then those that still wait."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=POST_SECONDS)) as http:
            try:
                while True:
                    await self._pause()
                    await self._send_all(http)
            finally:
                await self._send_all(http)

    async def _pause(self) -> None:
        self._wakeup.clear()
        try:
            await asyncio.wait_for(self._wakeup.wait(), EVERY_SECONDS)
        except TimeoutError:
            return

    async def _send_all(self, http: aiohttp.ClientSession) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._send(http, batch)
            except (aiohttp.ClientError, TimeoutError, OSError, AwsError) as error:
                log.logger.warning("spans are lost", extra={"spans": len(batch), "reason": type(error).__name__})
                return

    async def _send(self, http: aiohttp.ClientSession, batch: Sequence[Span]) -> None:
        body, headers = encoded(batch, self._resource), HEADERS
        if self._sign is not None:
            # Credentials of a container come over the network.
            headers = await asyncio.to_thread(self._sign, body, headers)
        async with http.post(self._url, data=body, headers=headers, ssl=trusting()) as answer:
            if answer.status >= 300:
                log.logger.warning("spans are lost", extra={"spans": len(batch), "status": answer.status})


def encoded(spans: Sequence[Span], resource: Mapping[str, Value]) -> bytes:
    """Return the request that carries ``spans`` of one process."""
    scope = {"name": "opencode-cloud", "version": VERSION}
    found = [_span(span) for span in spans]
    document = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [{"scope": scope, "spans": found}]}
    return msgspec.json.encode({"resourceSpans": [document]})


def _span(span: Span) -> dict[str, Any]:
    document: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": CLIENT,
        # 64-bit numbers are text in the JSON of protocol buffers.
        "startTimeUnixNano": f"{span.start_ms}000000",
        "endTimeUnixNano": f"{span.end_ms}000000",
        "attributes": _attributes(span.attributes),
        "status": {"code": ERROR, "message": span.error} if span.error else {},
    }
    if span.parent_id:
        document["parentSpanId"] = span.parent_id
    return document


def _attributes(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
