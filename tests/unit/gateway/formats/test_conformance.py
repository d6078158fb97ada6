"""Every registered format, and a made-up one, follows the interface of format objects."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import (
    WIRE_FORMATS,
    InvalidRequest,
    ParsedRequest,
    PathTarget,
    WireFormat,
    answer_error,
    error_event,
    forward_request,
    prompt_bytes,
    read_request,
    relay_stream,
    tool_names,
)
from opencode_cloud.gateway.formats.models import ImageBlock, ModelReply, ModelRequest, TextBlock, ToolDefinition, Turn
from opencode_cloud.gateway.formats.sse import Splitter, data_of
from tests.unit.gateway.formats.speaking import (
    MODEL,
    TOKENS,
    data_events,
    encode,
    essence,
    meaning,
    replies,
    requests,
    said,
    written_stream,
)
from tests.unit.gateway.formats.toy import TOY

WIRES = [*WIRE_FORMATS.values(), TOY]
each_format = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
examples = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
HELLO = ModelRequest(messages=(Turn("user", (TextBlock("Hello"),)),), max_output=100)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WIRE_FORMATS, TOY.name, TOY)


def sent(wire: WireFormat, request: ModelRequest, *, stream: bool = False) -> ParsedRequest:
    """Return a request as a client of the format sends it."""
    document = wire.write_request(msgspec.structs.replace(request, stream=stream), MODEL)
    target = PathTarget(MODEL, stream) if wire.read_path else None
    return read_request(wire.name, encode(document), target)


# ------------------------------------------------------------------------------------------------ the registry


def test_every_name_has_its_object() -> None:
    assert set(WIRE_FORMATS) >= set(Format)
    assert all(wire.name is name for name, wire in WIRE_FORMATS.items())


def test_no_path_belongs_to_two_formats() -> None:
    taken = Counter(path for wire in WIRES for path in wire.client_paths)
    assert [path for path, times in taken.items() if times > 1] == []
    upstream = Counter(wire.upstream_path("m", False) for wire in WIRES)
    assert [path for path, times in upstream.items() if times > 1] == []


@each_format
def test_paths_say_where_the_model_is_named(wire: WireFormat) -> None:
    assert wire.client_paths
    for path in (*wire.client_paths, wire.upstream_path("m", False), wire.upstream_path("m", True)):
        assert path.startswith("/")
    assert {"{call}" in path for path in wire.client_paths} == {wire.read_path is not None}


@each_format
@pytest.mark.parametrize("stream", [False, True])
def test_a_path_that_names_the_model_reads_what_it_writes(wire: WireFormat, stream: bool) -> None:
    if wire.read_path is None:
        assert "vendor" not in wire.upstream_path("vendor-model", stream)
    else:
        call = wire.upstream_path("vendor-model", stream).rpartition("/")[2].partition("?")[0]
        assert wire.read_path(call) == PathTarget("vendor-model", stream)


# ------------------------------------------------------------------------------------------------ requests


@each_format
@examples
@given(request=requests())
def test_a_request_is_read_as_it_was_written(wire: WireFormat, request: ModelRequest) -> None:
    node = wire.node(wire.write_request(request, MODEL))
    assert meaning(wire.read_request(node)) == meaning(request)
    assert wire.output_limit(node) == request.max_output
    assert wire.answer_count(node) == 1


@each_format
@pytest.mark.parametrize("stream", [False, True])
def test_model_and_streaming_are_read_where_the_format_has_them(wire: WireFormat, stream: bool) -> None:
    asked = sent(wire, HELLO, stream=stream)
    assert (asked.format, asked.model, asked.stream, asked.max_output) == (wire.name, MODEL, stream, 100)


@each_format
def test_an_empty_prompt_is_refused_by_name(wire: WireFormat) -> None:
    document = {**wire.write_request(HELLO, MODEL), wire.prompt_member: []}
    with pytest.raises(InvalidRequest, match=wire.prompt_member):
        read_request(wire.name, encode(document), PathTarget(MODEL, stream=False))


@each_format
def test_the_policy_sees_the_tools(wire: WireFormat) -> None:
    request = msgspec.structs.replace(HELLO, tools=(ToolDefinition(name="bash"), ToolDefinition(name="edit")))
    assert [tool.whole for tool in tool_names(sent(wire, request))] == ["bash", "edit"]


@each_format
def test_pictures_count_by_number_and_text_by_length(wire: WireFormat) -> None:
    picture = ImageBlock(media_type="image/png", data="A" * 4000)
    request = msgspec.structs.replace(HELLO, messages=(Turn("user", (TextBlock("Look"), picture)),))
    asked = sent(wire, request)
    assert asked.images == 1
    assert wire.image_tokens <= prompt_bytes(asked) < wire.image_tokens + 1000
    longer = msgspec.structs.replace(HELLO, messages=(Turn("user", (TextBlock("x" * 5000),)),))
    assert prompt_bytes(sent(wire, longer)) >= 5000


@each_format
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_of_the_same_format_gets_the_body_under_its_own_name_of_the_model(
    wire: WireFormat, stream: bool
) -> None:
    asked = sent(wire, HELLO, stream=stream)
    forwarded = json.loads(forward_request(asked, wire.name, "theirs", str).body)
    expected = dict(asked.document)
    if "model" in expected:
        expected["model"] = "theirs"
    if wire.read_path:
        expected.pop("model", None)
    assert forwarded == expected


@each_format
def test_an_upstream_of_any_other_format_gets_a_limit_if_it_needs_one(wire: WireFormat) -> None:
    asked = sent(wire, msgspec.structs.replace(HELLO, max_output=None))
    for target in WIRES:
        if target is not wire:
            forwarded = forward_request(asked, target.name, "theirs", str, most_output=77)
            node = target.node(json.loads(forwarded.body))
            expected = 77 if target.requires_output_limit or asked.max_output else None
            assert target.output_limit(node) in (expected, asked.max_output)


# ------------------------------------------------------------------------------------------------ answers


@each_format
@examples
@given(reply=replies())
def test_an_answer_is_read_as_it_was_written(wire: WireFormat, reply: ModelReply) -> None:
    document = wire.write_answer(reply, sent(wire, HELLO))
    read = wire.read_answer(wire.node(document))
    assert essence(read) == essence(reply)
    assert read.stop is reply.stop
    assert read.tokens == wire.read_usage(document[wire.usage_member])
    assert document[wire.answer_member]


@each_format
def test_usage_is_read_as_it_was_written(wire: WireFormat) -> None:
    tokens = wire.read_usage(wire.write_usage(TOKENS))
    assert tokens is not None
    assert (tokens.prompt, tokens.output, tokens.reasoning) == (TOKENS.prompt, TOKENS.output, TOKENS.reasoning)
    assert tokens.cache_read == TOKENS.cache_read
    for nothing in (None, {}, "x", []):
        assert wire.read_usage(nothing) is None


@each_format
@examples
@given(reply=replies())
def test_a_stream_is_read_as_it_was_written_and_its_meter_agrees(wire: WireFormat, reply: ModelReply) -> None:
    asked = sent(wire, HELLO, stream=True)
    assert wire.wants_usage(wire.node(asked.document))
    stream = written_stream(reply, wire.writer(asked), cuts=[3, 11])
    assert essence(said(wire.name, stream)) == essence(reply)
    relay = relay_stream(asked, wire.name)
    assert relay.feed(stream) + relay.end() == stream
    assert relay.complete
    assert relay.tokens is not None
    assert (relay.tokens.prompt, relay.tokens.output) == (TOKENS.prompt, TOKENS.output)
    assert relay.generated > 0


# ------------------------------------------------------------------------------------------------ errors, heartbeats


@each_format
@pytest.mark.parametrize("status", [400, 402, 429, 500])
def test_an_error_has_message_code_and_details(wire: WireFormat, status: int) -> None:
    details = {"limit": 20, "message": "hidden", "type": "hidden"}
    body = answer_error(wire.name, status=status, code="budget_exhausted", message="Stopped.", details=details)
    error = json.loads(body)["error"]
    assert (error["message"], error["limit"]) == ("Stopped.", 20)
    assert b"budget_exhausted" in body
    assert error["type"] != "hidden"


@each_format
def test_an_error_within_a_stream_is_taken_for_one_by_reader_and_meter(wire: WireFormat) -> None:
    code = "rate_limit_exceeded"
    event = error_event(wire.name, status=429, code=code, message="Slow down", details={}, sequence=4)
    [first, *_] = Splitter().feed(event)
    data = data_of(first)
    assert data is not None
    reader, meter = wire.reader(), wire.meter()
    assert list(reader.read(data)) == []
    meter.read(data)
    for fault in (reader.fault, meter.fault):
        assert fault is not None
        assert (fault.status, fault.message) == (429, "Slow down")


@each_format
@examples
@given(reply=replies())
def test_heartbeats_between_events_change_nothing(wire: WireFormat, reply: ModelReply) -> None:
    stream = written_stream(reply, wire.writer(sent(wire, HELLO, stream=True)), cuts=[5])
    beaten = wire.heartbeat + b"".join(event + wire.heartbeat for event in Splitter().feed(stream))
    assert data_events(beaten) == data_events(stream)
