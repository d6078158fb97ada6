"""Metrics by OTLP/HTTP in JSON, in the background: sums and histograms of the time since the last post (delta).

Reference: `opentelemetry.proto.metrics.v1`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.async_http import aiohttp
from opencode_cloud.kit.aws_api.errors import AwsError
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.otlp import SCOPE, OtlpPosts, attributes_of, new_session, resource_of

if TYPE_CHECKING:
    from opencode_cloud.kit.otlp import Value

EVERY_SECONDS = 30.0
MOST_SERIES = 2000
"""Series that are kept for the next post. Beyond it, values of new series are dropped, and counted in the log."""

DELTA = 1
"""The temporality of values since the last post. A process that ends takes no total with it."""

UNKNOWN = frozenset({404, 405, 501})
"""Answers of a collector that takes no metrics."""

Attributes = Mapping[str, "Value"]


class Instrument(msgspec.Struct, frozen=True):
    """One metric: a sum, or with ``bounds`` a histogram. ``unit`` is that of UCUM."""

    name: str
    unit: str
    bounds: tuple[float, ...] = ()


class _Series:
    """The values of one instrument with the same attributes, since the last post."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.count = 0
        self.sum = 0.0
        self.buckets = [0] * (len(bounds) + 1)

    def add(self, value: float, bounds: Sequence[float]) -> None:
        self.count += 1
        self.sum += value
        self.buckets[bisect_left(bounds, value)] += 1


_Key = tuple[tuple[str, "Value"], ...]


class MetricExporter:
    """Adds up values and sends them to a collector. A failure loses values, and never a call. For one event loop."""

    def __init__(self, endpoint: str, service: str, stage: str) -> None:
        """Send to ``endpoint``, the base URL of a collector, as ``service`` of ``stage``."""
        self._posts = OtlpPosts(endpoint, "/v1/metrics")
        self._resource = resource_of(service, stage)
        self._series: dict[Instrument, dict[_Key, _Series]] = {}
        self._kept = 0
        self._dropped = 0
        self._since = now_ms()
        self._taken = True

    def record(self, instrument: Instrument, value: float, attributes: Attributes) -> None:
        """Add ``value`` to the series of ``instrument`` with these attributes."""
        if not self._taken:
            return
        all_series, key = self._series.setdefault(instrument, {}), tuple(sorted(attributes.items()))
        series = all_series.get(key)
        if series is None:
            if self._kept >= MOST_SERIES:
                self._dropped += 1
                return
            series = all_series[key] = _Series(instrument.bounds)
            self._kept += 1
        series.add(value, instrument.bounds)

    async def run(self) -> None:
        """Send values until cancelled, then the last ones. Ends when the collector takes no metrics."""
        async with new_session() as http:
            try:
                while self._taken:
                    await asyncio.sleep(EVERY_SECONDS)
                    await self._send(http)
            finally:
                await self._send(http)

    async def _send(self, http: aiohttp.ClientSession) -> None:
        if not self._series:
            return
        since, now, dropped = self._since, now_ms(), self._dropped
        body = _encoded(self._series, self._resource, since, now)
        self._series, self._kept, self._dropped, self._since = {}, 0, 0, now
        if dropped:
            log.logger.warning("values of metrics are dropped", extra={"values": dropped, "most_series": MOST_SERIES})
        try:
            status = await self._posts.send(http, body)
        except (aiohttp.ClientError, TimeoutError, OSError, AwsError) as error:
            log.logger.warning("metrics are lost", extra={"reason": type(error).__name__})
            return
        if status in UNKNOWN:
            self._taken = False
            log.logger.info("the collector takes no metrics", extra={"status": status})
        elif status >= 300:
            log.logger.warning("metrics are lost", extra={"status": status})


def _encoded(
    all_series: Mapping[Instrument, Mapping[_Key, _Series]], resource: Mapping[str, Any], since: int, now: int
) -> bytes:
    times = {"startTimeUnixNano": f"{since}000000", "timeUnixNano": f"{now}000000"}
    metrics = [_metric(instrument, series, times) for instrument, series in all_series.items()]
    document = {"resource": resource, "scopeMetrics": [{"scope": SCOPE, "metrics": metrics}]}
    return msgspec.json.encode({"resourceMetrics": [document]})


def _metric(instrument: Instrument, series: Mapping[_Key, _Series], times: Mapping[str, str]) -> dict[str, Any]:
    named = {"name": instrument.name, "unit": instrument.unit}
    points = [
        {"attributes": attributes_of(dict(key)), **times, **_point(instrument, values)}
        for key, values in series.items()
    ]
    if instrument.bounds:
        return {**named, "histogram": {"dataPoints": points, "aggregationTemporality": DELTA}}
    return {**named, "sum": {"dataPoints": points, "aggregationTemporality": DELTA, "isMonotonic": True}}


def _point(instrument: Instrument, values: _Series) -> dict[str, Any]:
    if not instrument.bounds:
        return {"asDouble": values.sum}
    return {
        # 64-bit numbers are text in the JSON of protocol buffers.
        "count": str(values.count),
        "sum": values.sum,
        "bucketCounts": [str(count) for count in values.buckets],
        "explicitBounds": list(instrument.bounds),
    }
