"""Spans go out in the background, in OpenTelemetry's JSON. A collector that fails costs spans, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opencode_cloud.kit import otlp_spans
from opencode_cloud.kit.otlp import HEADERS, resource_of
from opencode_cloud.kit.otlp_spans import Span, SpanExporter, encoded
from opencode_cloud.kit.xray import signature_of
from tests.unit.kit.otlp_collector import Collector, send_all

SPAN = Span("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "", "chat gpt", 1000, 2500, {"tokens": 5})


def test_a_batch_has_the_form_of_the_protocol() -> None:
    failed = SPAN._replace(parent_id="00f067aa0ba902b7", error="upstream_failed", attributes={"ok": True, "part": 0.5})
    document = json.loads(encoded([SPAN, failed], resource_of("gateway", "dev")))
    (resource,) = document["resourceSpans"]
    named = {each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]}
    assert (named["service.name"], named["deployment.environment.name"]) == ("gateway", "dev")
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
        for _ in range(otlp_spans.BATCH + 1):
            exporter.add(SPAN)
        await send_all(exporter)
        assert len(collector.spans) == otlp_spans.BATCH + 1


@pytest.mark.parametrize("status", [500, 0])
async def test_a_collector_that_fails_costs_spans_only(status: int) -> None:
    async with Collector(status).serving() as collector:
        exporter = SpanExporter(collector.url if status else "http://127.0.0.1:1", "gateway", "dev")
        exporter.add(SPAN)
        await send_all(exporter)


def test_spans_that_nothing_takes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(otlp_spans.log, "count", counted.append)
    exporter = SpanExporter("http://127.0.0.1:1", "gateway", "dev")
    for _ in range(otlp_spans.MOST_WAITING + 3):
        exporter.add(SPAN)
    assert counted == ["SpansDropped"] * 3


def test_spans_for_xray_are_signed_as_botocore_signs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ACCESS_KEY_ID": "AKIDEXAMPLE",
        "SECRET_ACCESS_KEY": "secret",
        "SESSION_TOKEN": "token",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    url, body = "https://xray.eu-west-1.amazonaws.com/v1/traces", encoded([SPAN], {})
    sign = signature_of(url)
    assert sign is not None
    sent = sign(body, HEADERS)
    request = AWSRequest("POST", url, headers=dict(HEADERS), data=body)
    moment = datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(Credentials("AKIDEXAMPLE", "secret", "token"), "xray", "eu-west-1").add_auth(request)
    assert sent["authorization"] == request.headers["Authorization"]
    assert sent["content-type"] == "application/json"


@pytest.mark.parametrize(
    "url", ["https://collector.example.com/v1/traces", "https://xray.eu-west-1.amazonaws.com.example.com/v1/traces"]
)
def test_no_collector_but_xray_gets_a_signature(url: str) -> None:
    assert signature_of(url) is None
