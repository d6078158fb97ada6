"""Spans by OTLP/HTTP in JSON, in the background.

Reference: `opentelemetry.proto.trace.v1`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.async_http import aiohttp
from opencode_cloud.kit.aws_api.errors import AwsError
from opencode_cloud.kit.otlp import SCOPE, OtlpPosts, attributes_of, new_session, resource_of

if TYPE_CHECKING:
    from opencode_cloud.kit.otlp import Value

MOST_WAITING = 2048
"""Spans that wait for the next batch. Beyond it, the oldest is dropped, so that a dead collector costs no memory."""

BATCH = 512
EVERY_SECONDS = 5.0
CLIENT = 3
"""The kind of a span that stands for a call to another service."""

ERROR = 2
"""The status of a span whose call failed."""


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
        self._posts = OtlpPosts(endpoint, "/v1/traces")
        self._resource = resource_of(service, stage)
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
        async with new_session() as http:
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
                status = await self._posts.send(http, encoded(batch, self._resource))
            except (aiohttp.ClientError, TimeoutError, OSError, AwsError) as error:
                log.logger.warning("spans are lost", extra={"spans": len(batch), "reason": type(error).__name__})
                return
            if status >= 300:
                log.logger.warning("spans are lost", extra={"spans": len(batch), "status": status})


def encoded(spans: Sequence[Span], resource: Mapping[str, Any]) -> bytes:
    """Return the request that carries ``spans`` of one process."""
    document = {"resource": resource, "scopeSpans": [{"scope": SCOPE, "spans": [_span(span) for span in spans]}]}
    return msgspec.json.encode({"resourceSpans": [document]})


def _span(span: Span) -> dict[str, Any]:
    document: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": CLIENT,
        "startTimeUnixNano": f"{span.start_ms}000000",
        "endTimeUnixNano": f"{span.end_ms}000000",
        "attributes": attributes_of(span.attributes),
        "status": {"code": ERROR, "message": span.error} if span.error else {},
    }
    if span.parent_id:
        document["parentSpanId"] = span.parent_id
    return document
