"""The span of a call: in the client's trace, continued by the upstream, by OpenTelemetry's names, without content."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import Tokens, UsageEvent
from opencode_cloud.gateway.models import Incoming
from opencode_cloud.gateway.routes import Gateway
from opencode_cloud.gateway.tracing import continued, span_of
from tests.unit.gateway.asking import nothing
from tests.unit.gateway.calling import Scripted
from tests.unit.gateway.rigs import in_turn, rig

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EVENT = UsageEvent(
    id=CallId("call_1"),
    at=1000,
    workspace_id=WorkspaceId("wrk_1"),
    model="opus",
    upstream="anthropic",
    upstream_model="claude-opus",
    tokens=Tokens(input=7, output=3),
    total_ms=250,
    status=200,
    metadata={"address": "203.0.113.9"},
)


def test_a_call_is_a_child_of_the_client_s_span_and_the_parent_of_the_upstream_s() -> None:
    context = continued(f"00-{TRACE}-{PARENT}-01")
    assert (context.trace_id, context.parent_id) == (TRACE, PARENT)
    assert context.span_id not in ("", PARENT)
    assert context.traceparent == f"00-{TRACE}-{context.span_id}-01"
    assert context.sampled
    assert continued(f"00-{TRACE}-{PARENT}-01").span_id != context.span_id, "a retry is another call"


@pytest.mark.parametrize("header", ["", "00-x-y-01", f"00-{TRACE}"])
def test_a_call_without_a_valid_header_begins_a_trace(header: str) -> None:
    one, other = continued(header), continued(header)
    assert one.trace_id != other.trace_id
    assert (len(one.trace_id), len(one.span_id), one.parent_id) == (32, 16, "")


def test_a_client_that_wants_no_record_gets_none() -> None:
    assert not continued(f"00-{TRACE}-{PARENT}-00").sampled


def test_a_span_has_the_names_of_the_convention_and_no_content() -> None:
    span = span_of(EVENT, continued(f"00-{TRACE}-{PARENT}-01"), "chat")
    assert (span.name, span.start_ms, span.end_ms, span.error) == ("chat opus", 1000, 1250, "")
    named = dict(span.attributes)
    assert named["gen_ai.operation.name"] == "chat"
    assert (named["gen_ai.provider.name"], named["gen_ai.response.model"]) == ("anthropic", "claude-opus")
    assert (named["gen_ai.usage.input_tokens"], named["gen_ai.usage.output_tokens"]) == (7, 3)
    assert "error.type" not in named
    assert "203.0.113.9" not in str(span), "metadata stays where the workspace keeps it"


@pytest.mark.parametrize(("flags", "recorded"), [("01", True), ("00", False)])
async def test_a_call_that_has_ended_is_told_and_its_upstream_continues_the_trace(flags: str, recorded: bool) -> None:
    found = rig(in_turn(Scripted()))
    told: list[tuple[UsageEvent, Incoming]] = []
    found.calls._trace = lambda event, incoming: told.append((event, incoming))
    app = Gateway(found.calls, found.admission, longest_body=10_000, traced=True).app(nothing)
    body = {"model": found.model.id, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "tracestate": "a=b", "authorization": "Bearer oc_sk_x"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post("/zen/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200
    [sent] = found.headers
    _, trace, span_id, sent_flags = sent["traceparent"].split("-")
    assert (trace, sent_flags, sent["tracestate"]) == (TRACE, flags, "a=b")
    assert span_id != PARENT
    assert len(told) == recorded
    for event, incoming in told:
        assert incoming.span is not None
        assert (incoming.span.span_id, incoming.span.parent_id) == (span_id, PARENT)
        assert event.correlation_id == TRACE


def test_a_failed_call_names_its_error() -> None:
    failed = msgspec.structs.replace(EVENT, error="upstream_failed", status=502)
    span = span_of(failed, continued(""), "embeddings")
    assert (span.error, span.attributes["error.type"]) == ("upstream_failed", "upstream_failed")
