"""Metrics go out in the background, in OpenTelemetry's JSON. A collector that fails costs values, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from opencode_cloud.kit import otlp_metrics
from opencode_cloud.kit.otlp_metrics import Instrument, MetricExporter
from tests.unit.kit.otlp_collector import Collector, send_all
from tests.waiting import PATIENCE

TOKENS = Instrument("tokens", "{token}", (1.0, 10.0))
COST = Instrument("cost", "{micro_cent}")
OPUS = {"model": "opus"}


async def test_values_of_the_same_attributes_are_one_point() -> None:
    async with Collector().serving() as collector:
        exporter = MetricExporter(collector.url, "gateway", "dev")
        for value in (1, 7, 10, 11):
            exporter.record(TOKENS, value, OPUS)
        exporter.record(TOKENS, 5, {"model": "haiku"})
        exporter.record(COST, 30, OPUS)
        exporter.record(COST, 12, OPUS)
        await send_all(exporter)
    tokens, cost = collector.metrics
    assert (tokens["name"], tokens["unit"]) == ("tokens", "{token}")
    assert tokens["histogram"]["aggregationTemporality"] == 1
    opus, haiku = tokens["histogram"]["dataPoints"]
    assert opus["attributes"] == [{"key": "model", "value": {"stringValue": "opus"}}]
    assert (opus["count"], opus["sum"]) == ("4", 29.0)
    assert opus["explicitBounds"] == [1.0, 10.0]
    assert opus["bucketCounts"] == ["1", "2", "1"], "a bound belongs to the bucket below it"
    assert haiku["count"] == "1"
    assert cost["sum"]["isMonotonic"]
    (point,) = cost["sum"]["dataPoints"]
    assert point["asDouble"] == 42
    assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"])


async def test_a_value_is_sent_once() -> None:
    async with Collector().serving() as collector:
        exporter = MetricExporter(collector.url, "gateway", "dev")
        exporter.record(COST, 30, OPUS)
        await send_all(exporter)
        await send_all(exporter)
        exporter.record(COST, 5, OPUS)
        await send_all(exporter)
    assert [metric["sum"]["dataPoints"][0]["asDouble"] for metric in collector.metrics] == [30, 5]


@pytest.mark.parametrize("status", [500, 0])
async def test_a_collector_that_fails_costs_values_only(status: int) -> None:
    async with Collector(status).serving() as collector:
        exporter = MetricExporter(collector.url if status else "http://127.0.0.1:1", "gateway", "dev")
        exporter.record(COST, 30, OPUS)
        await send_all(exporter)
        exporter.record(COST, 5, OPUS)
        await send_all(exporter)
    assert len(collector.metrics) == (2 if status else 0)


async def test_a_collector_without_metrics_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_metrics, "EVERY_SECONDS", 0)
    async with Collector(404).serving() as collector:
        exporter = MetricExporter(collector.url, "gateway", "dev")
        exporter.record(COST, 30, OPUS)
        await asyncio.wait_for(exporter.run(), PATIENCE)
        exporter.record(COST, 5, OPUS)
        await send_all(exporter)
    assert len(collector.metrics) == 1


async def test_endless_attributes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_metrics, "MOST_SERIES", 2)
    async with Collector().serving() as collector:
        exporter = MetricExporter(collector.url, "gateway", "dev")
        for model in "abcb":
            exporter.record(COST, 1, {"model": model})
        await send_all(exporter)
    (cost,) = collector.metrics
    assert [point["asDouble"] for point in cost["sum"]["dataPoints"]] == [1, 2]
