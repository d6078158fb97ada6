"""Streams are converted completely to every other format: text, thoughts, calls, usage, the end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import relay_stream
from opencode_cloud.gateway.formats.models import ModelReply, ReasoningBlock, Stop
from opencode_cloud.gateway.formats.sealing import unseal
from tests.unit.gateway.formats.speaking import (
    FORMATS,
    PAIRS,
    TOKENS,
    ask,
    chunks,
    data_events,
    essence,
    golden,
    replies,
    said,
    streamed,
)

CUTS = st.lists(st.integers(0, 1_000_000), max_size=12)
SAID = [("thought", "Two cities, two calls."), ("text", "Let me look. ☀")]
CALLS = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]


def relayed(client: Format, upstream: Format, pieces: list[bytes]) -> bytes:
    relay = relay_stream(ask(client, stream=True), upstream)
    out = b"".join(relay.feed(piece) for piece in pieces) + relay.end()
    assert relay.complete
    assert not relay.garbage
    assert relay.fault is None
    return out


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_recorded_stream_arrives_whole(client: Format, upstream: Format) -> None:
    reply = said(client, relayed(client, upstream, [golden(upstream)]))
    found = essence(reply)
    assert found[:2] == SAID
    assert [call[2:] for call in found[2:]] == CALLS
    assert found[2][1] != found[3][1]
    assert reply.stop is Stop.TOOLS
    assert reply.tokens is not None
    assert (reply.tokens.prompt, reply.tokens.output, reply.tokens.reasoning) == (2600, 91, 40)
    assert reply.tokens.cache_read == 2000


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(cuts=CUTS)
@settings(max_examples=15)
def test_where_chunks_are_cut_changes_nothing(client: Format, upstream: Format, cuts: list[int]) -> None:
    stream = golden(upstream)
    cut = said(client, relayed(client, upstream, chunks(stream, cuts)))
    assert essence(cut) == essence(said(client, relayed(client, upstream, [stream])))


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(reply=replies(), cuts=CUTS)
@settings(max_examples=20)
def test_any_answer_keeps_its_meaning(client: Format, upstream: Format, reply: ModelReply, cuts: list[int]) -> None:
    stream = streamed(reply, upstream, cuts)
    arrived = said(client, relayed(client, upstream, chunks(stream, cuts)))
    assert essence(arrived) == essence(reply)
    assert arrived.stop is reply.stop
    assert arrived.tokens is not None
    assert arrived.tokens.prompt == TOKENS.prompt
    assert arrived.tokens.output == TOKENS.output
    assert arrived.tokens.reasoning == TOKENS.reasoning


@pytest.mark.parametrize("upstream", FORMATS)
def test_what_was_generated_is_counted_on_the_way(upstream: Format) -> None:
    for client in FORMATS:
        relay = relay_stream(ask(client, stream=True), upstream)
        relay.feed(golden(upstream))
        relay.end()
        arguments = sum(len(json.dumps({"city": city})) for city in ("Paris", "Rome"))
        expected = sum(len(text.encode()) for _, text in SAID) + arguments
        assert expected - 4 <= relay.generated <= expected + 120


def test_a_client_of_messages_gets_the_whole_envelope() -> None:
    events = data_events(relayed(Format.MESSAGES, Format.CHAT, [golden(Format.CHAT)]))
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    starts = [event for event in events if event["type"] == "content_block_start"]
    assert [start["index"] for start in starts] == [0, 1, 2, 3]
    assert [start["content_block"]["type"] for start in starts] == ["thinking", "text", "tool_use", "tool_use"]
    stops = [event["index"] for event in events if event["type"] == "content_block_stop"]
    assert stops == [0, 1, 2, 3]
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2]["usage"]["cache_read_input_tokens"] == 2000


def test_each_event_of_messages_and_responses_has_its_name() -> None:
    for client in (Format.MESSAGES, Format.RESPONSES):
        stream = relayed(client, Format.CHAT, [golden(Format.CHAT)])
        for event in stream.decode().strip().split("\n\n"):
            name, data = event.split("\n")
            assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]


def test_a_client_of_responses_gets_numbered_events_and_closed_items() -> None:
    events = data_events(relayed(Format.RESPONSES, Format.MESSAGES, [golden(Format.MESSAGES)]))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == [0, 1, 2, 3]
    assert [event["item"]["id"] for event in added] == [event["item"]["id"] for event in done]
    assert len({event["item"]["id"] for event in added}) == 4
    final = events[-1]
    assert final["type"] == "response.completed"
    assert final["response"]["output"] == [event["item"] for event in done]
    assert final["response"]["id"] == events[0]["response"]["id"]
    for event in events:
        if "item_id" in event:
            assert event["item_id"] == added[event["output_index"]]["item"]["id"]


def test_a_client_of_chat_gets_role_finish_usage_and_the_mark() -> None:
    events = data_events(relayed(Format.CHAT, Format.RESPONSES, [golden(Format.RESPONSES)]))
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert events[-1] == "[DONE]"
    assert events[-2]["choices"] == []
    assert events[-2]["usage"]["prompt_tokens_details"]["cached_tokens"] == 2000
    assert events[-3]["choices"][0]["finish_reason"] == "tool_calls"
    assert len({event["id"] for event in events[:-1]}) == 1
    calls = [call for event in events[:-2] for call in event["choices"][0]["delta"].get("tool_calls", [])]
    assert {call["index"] for call in calls} == {0, 1}
    assert len([call for call in calls if "id" in call]) == 2


def test_usage_that_a_client_of_chat_did_not_ask_for_is_not_sent() -> None:
    asked = ask(Format.CHAT, stream=True, stream_options={})
    relay = relay_stream(asked, Format.MESSAGES)
    events = data_events(relay.feed(golden(Format.MESSAGES)) + relay.end())
    assert all(event == "[DONE]" or event["choices"] for event in events)
    assert relay.tokens == TOKENS


def test_a_client_of_generate_gets_whole_calls_and_the_usage_last() -> None:
    events = data_events(relayed(Format.GENERATE, Format.MESSAGES, [golden(Format.MESSAGES)]))
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [call["args"] for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert "finishReason" not in json.dumps(events[:-1])
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    assert events[-1]["usageMetadata"]["candidatesTokenCount"] == 51
    assert events[-1]["usageMetadata"]["thoughtsTokenCount"] == 40


def test_calls_that_grow_side_by_side_reach_messages_one_after_the_other() -> None:
    def chunk(index: int, **function: str) -> bytes:
        head = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
        call = {"index": index, **head, "function": function}
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).encode() + b"\n\n"

    stream = b"".join(
        [
            chunk(0, name="first", arguments=""),
            chunk(1, name="second", arguments='{"b"'),
            chunk(0, arguments='{"a"'),
            chunk(1, arguments=":2}"),
            chunk(0, arguments=":1}"),
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        ]
    )
    for client in (Format.MESSAGES, Format.RESPONSES, Format.GENERATE):
        calls = essence(said(client, relayed(client, Format.CHAT, [stream])))
        assert calls == [("call", "call_0", "first", {"a": 1}), ("call", "call_1", "second", {"b": 2})]


def test_servers_that_number_all_calls_0_are_understood() -> None:
    def chunk(call_id: str, city: str) -> bytes:
        function = {"name": "f", "arguments": json.dumps({"city": city})}
        delta = {"tool_calls": [{"index": 0, "id": call_id, "function": function}]}
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"

    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    stream = chunk("a", "Paris") + chunk("b", "Rome") + end
    calls = essence(said(Format.MESSAGES, relayed(Format.MESSAGES, Format.CHAT, [stream])))
    assert calls == [("call", "a", "f", {"city": "Paris"}), ("call", "b", "f", {"city": "Rome"})]


@pytest.mark.parametrize("client", [Format.MESSAGES, Format.RESPONSES, Format.GENERATE])
def test_arguments_that_come_before_the_name_of_their_call_are_kept(client: Format) -> None:
    def chunk(**call: object) -> bytes:
        choice = {"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    stream = chunk(id="call_1", function={"arguments": '{"city": '}) + chunk(function={"arguments": '"Par'})
    stream += chunk(function={"name": "f", "arguments": 'is"'}) + chunk(function={"arguments": "}"}) + end
    calls = essence(said(client, relayed(client, Format.CHAT, [stream])))
    assert [call[2:] for call in calls] == [("f", {"city": "Paris"})]


def test_two_calls_under_one_id_are_told_apart() -> None:
    stream = golden(Format.CHAT)
    for call in (b"call_DdmO9pD3xa9XTPNJ32zg2hcA", b"call_RotOsVxDkYx2pF4qTpYgZzRk"):
        stream = stream.replace(call, b"call_get_weather")
    for client in (Format.MESSAGES, Format.RESPONSES, Format.GENERATE):
        calls = essence(said(client, relayed(client, Format.CHAT, [stream])))[2:]
        assert calls[0][1] == "call_get_weather"
        assert calls[1][1] != "call_get_weather"


def test_an_answer_of_responses_whose_text_was_not_streamed_is_not_lost() -> None:
    item = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "all"}]}
    response = {"id": "r", "status": "completed", "output": [item], "usage": {"input_tokens": 1, "output_tokens": 1}}
    stream = b"data: " + json.dumps({"type": "response.completed", "response": response}).encode() + b"\n\n"
    assert essence(said(Format.CHAT, relayed(Format.CHAT, Format.RESPONSES, [stream]))) == [("text", "all")]


def test_an_answer_cut_off_by_its_limit_says_so_and_keeps_its_usage() -> None:
    details = {"reason": "max_output_tokens"}
    usage = {"input_tokens": 10, "output_tokens": 16, "output_tokens_details": {"reasoning_tokens": 16}}
    response = {"id": "r", "status": "incomplete", "incomplete_details": details, "output": [], "usage": usage}
    stream = b"data: " + json.dumps({"type": "response.incomplete", "response": response}).encode() + b"\n\n"
    for client in (Format.CHAT, Format.MESSAGES, Format.GENERATE):
        reply = said(client, relayed(client, Format.RESPONSES, [stream]))
        assert reply.stop is Stop.LENGTH
        assert reply.tokens is not None
        assert (reply.tokens.output, reply.tokens.reasoning) == (16, 16)


@pytest.mark.parametrize("upstream", FORMATS)
def test_a_stream_that_breaks_off_gets_no_normal_end(upstream: Format) -> None:
    stream = golden(upstream)
    half = stream[: len(stream) // 2]
    for client in FORMATS:
        relay = relay_stream(ask(client, stream=True), upstream)
        out = relay.feed(half) + relay.end()
        assert not relay.complete
        for mark in (b"message_stop", b"[DONE]", b"response.completed", b"finishReason"):
            assert mark not in out


def test_a_server_that_leaves_out_the_mark_still_gives_a_whole_answer() -> None:
    stream = golden(Format.CHAT).replace(b"data: [DONE]\n\n", b"")
    for client in FORMATS:
        relay = relay_stream(ask(client, stream=True), Format.CHAT)
        out = relay.feed(stream) + relay.end()
        assert relay.complete
        if client is not Format.CHAT:
            assert essence(said(client, out))[:2] == SAID


@pytest.mark.parametrize("client", [Format.CHAT, Format.MESSAGES, Format.RESPONSES])
def test_the_signature_of_a_streamed_call_of_gemini_reaches_the_client(client: Format) -> None:
    signature = "CpcHAdHtim9+q4rstcbvQC0ic4x1/vqQlCJW"
    stream = relayed(client, Format.GENERATE, [golden(Format.GENERATE)])
    if client is Format.CHAT:
        assert signature.encode() in stream
        return
    blocks = [block for block in said(client, stream).blocks if isinstance(block, ReasoningBlock)]
    sealed = [unseal(block.signature) for block in blocks]
    assert [block.signature for block in sealed if block is not None and block.signature] == [signature]
