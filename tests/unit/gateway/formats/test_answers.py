"""Answers that are not streamed reach clients of every other format."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import collect_answer, conversions, relay_answer, relay_stream, stream_answer
from opencode_cloud.gateway.formats.models import ModelReply, Stop, TextBlock, ToolCall
from opencode_cloud.gateway.formats.parsing import node_of
from tests.unit.gateway.formats.speaking import (
    FORMATS,
    PAIRS,
    TOKENS,
    ask,
    data_events,
    encode,
    essence,
    golden,
    replies,
    said,
    streamed,
)
from tests.unit.gateway.formats.test_limits import chat_answer, chat_call, chat_stream


def received(client: Format, upstream: Format, body: bytes) -> ModelReply:
    """Return the answer to the client."""
    answer = relay_answer(ask(client), upstream, body)
    return conversions.read_answer(client, node_of(client, json.loads(answer.body)))


@pytest.mark.parametrize("upstream", list(Format))
@pytest.mark.parametrize("client", list(Format))
def test_a_recorded_stream_arrives_whole_where_its_client_asked_for_json(client: Format, upstream: Format) -> None:
    answer = collect_answer(ask(client), upstream, golden(upstream))
    reply = conversions.read_answer(client, node_of(client, json.loads(answer.body)))
    streamed = said(upstream, golden(upstream))
    assert [part[:1] + part[-1:] for part in essence(reply)] == [part[:1] + part[-1:] for part in essence(streamed)]
    assert (reply.stop, answer.tokens) == (Stop.TOOLS, streamed.tokens)
    assert answer.generated > 0


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_recorded_answer_arrives_whole(client: Format, upstream: Format) -> None:
    reply = received(client, upstream, golden(upstream, "json"))
    found = essence(reply)
    assert found[:2] == [("thought", "Two cities, two calls."), ("text", "Let me look. ☀")]
    assert [call[2:] for call in found[2:]] == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    assert reply.stop is Stop.TOOLS
    assert reply.tokens is not None
    assert (reply.tokens.prompt, reply.tokens.output, reply.tokens.reasoning) == (2600, 91, 40)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(reply=replies())
@settings(max_examples=20)
def test_any_answer_keeps_its_meaning(client: Format, upstream: Format, reply: ModelReply) -> None:
    arrived = received(client, upstream, encode(conversions.write_answer(reply, ask(upstream))))
    assert essence(arrived) == essence(reply)
    assert arrived.stop is reply.stop
    assert arrived.tokens is not None
    assert (arrived.tokens.prompt, arrived.tokens.output) == (TOKENS.prompt, TOKENS.output)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_tokens_are_what_the_upstream_said_whatever_the_client_speaks(client: Format, upstream: Format) -> None:
    same = relay_answer(ask(upstream), upstream, golden(upstream, "json"))
    assert relay_answer(ask(client), upstream, golden(upstream, "json")).tokens == same.tokens


@pytest.mark.parametrize("client", [Format.CHAT, Format.MESSAGES, Format.RESPONSES])
def test_a_blocked_prompt_is_a_refusal_not_an_error(client: Format) -> None:
    body = encode({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    reply = received(client, Format.GENERATE, body)
    assert reply.stop is Stop.REFUSAL
    assert reply.tokens is not None
    assert reply.tokens.prompt == 3


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "MALFORMED_FUNCTION_CALL", "OTHER", "A_NEW_ONE"])
def test_an_end_that_is_none_is_not_told_as_a_normal_one(reason: str) -> None:
    body = encode({"candidates": [{"content": {"parts": []}, "finishReason": reason}]})
    answer = json.loads(relay_answer(ask(Format.CHAT), Format.GENERATE, body).body)
    assert answer["choices"][0]["finish_reason"] == "content_filter"


def test_calls_are_told_even_where_a_server_says_stop() -> None:
    document = json.loads(golden(Format.CHAT, "json"))
    document["choices"][0]["finish_reason"] = "stop"
    answer = json.loads(relay_answer(ask(Format.MESSAGES), Format.CHAT, encode(document)).body)
    assert answer["stop_reason"] == "tool_use"


def test_calls_without_ids_get_ids_that_differ() -> None:
    document = json.loads(golden(Format.GENERATE, "json"))
    for part in document["candidates"][0]["content"]["parts"]:
        part.get("functionCall", {}).pop("id", None)
    reply = received(Format.CHAT, Format.GENERATE, encode(document))
    ids = {call[1] for call in essence(reply) if call[0] == "call"}
    assert len(ids) == 2
    assert all(ids)


def test_two_calls_under_one_id_are_told_apart() -> None:
    document = json.loads(golden(Format.CHAT, "json"))
    for call in document["choices"][0]["message"]["tool_calls"]:
        call["id"] = "call_same"
    calls = essence(received(Format.MESSAGES, Format.CHAT, encode(document)))[2:]
    assert calls[0][1] == "call_same"
    assert calls[1][1] != "call_same"


def test_a_thought_signature_of_gemini_reaches_a_client_of_chat_where_googles_own_endpoint_has_it() -> None:
    answer = json.loads(relay_answer(ask(Format.CHAT), Format.GENERATE, golden(Format.GENERATE, "json")).body)
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert calls[0]["extra_content"]["google"]["thought_signature"] == "CpcHAdHtim9+q4rstcbvQC0ic4x1/vqQlCJW"
    assert "extra_content" not in calls[1]


def test_an_answer_without_usage_has_none_for_us_and_zeros_for_clients_that_need_it() -> None:
    document = json.loads(golden(Format.CHAT, "json"))
    del document["usage"]
    answer = relay_answer(ask(Format.RESPONSES), Format.CHAT, encode(document))
    assert answer.tokens is None
    assert json.loads(answer.body)["usage"]["total_tokens"] == 0
    assert answer.generated > 40


def test_structs_are_not_shared_between_answers() -> None:
    first = relay_answer(ask(Format.MESSAGES), Format.CHAT, golden(Format.CHAT, "json"))
    second = relay_answer(ask(Format.MESSAGES), Format.CHAT, golden(Format.CHAT, "json"))
    assert msgspec.json.decode(first.body)["id"] != msgspec.json.decode(second.body)["id"]


REQUIRED = [
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model",
    "previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs",
    "temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls", "store", "background",
    "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
]  # fmt: skip
"""Members that the schema of Open Responses requires of every response."""


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.MESSAGES, Format.GENERATE])
def test_a_converted_response_has_every_member_of_the_open_schema(upstream: Format) -> None:
    asked = ask(Format.RESPONSES, temperature=0.5, reasoning={"effort": "low"}, text={"verbosity": "low"})
    whole = json.loads(relay_answer(asked, upstream, golden(upstream, "json")).body)
    relay = relay_stream(ask(Format.RESPONSES, stream=True), upstream)
    events = data_events(relay.feed(golden(upstream)) + relay.end())
    begun = [event["response"] for event in events if "response" in event]
    for response in (whole, *begun):
        assert [name for name in REQUIRED if name not in response] == []
    assert (whole["temperature"], whole["top_p"]) == (0.5, 1.0)
    assert whole["reasoning"] == {"effort": "low", "summary": None}
    assert whole["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert whole["completed_at"] >= whole["created_at"]
    assert begun[0]["completed_at"] is None


# ------------------------------------------------------------------------------------------------ odd upstreams


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}


@pytest.mark.parametrize("client", [Format.MESSAGES, Format.RESPONSES, Format.GENERATE])
@pytest.mark.parametrize("content", [[THOUGHT, {"type": "text", "text": "Four."}], [{"type": "text", "text": "Four."}]])
def test_content_that_is_a_list_is_read(client: Format, content: list[Any]) -> None:
    whole = relay_answer(ask(client), Format.CHAT, chat_answer({"content": content}))
    assert b"Four." in whole.body
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    reply = said(client, relay.feed(chat_stream({"content": content[:1]}, {"content": content[1:]})) + relay.end())
    texts = [block.text for block in reply.blocks if not isinstance(block, ToolCall)]
    assert texts == [*(["hm"] if len(content) > 1 else []), "Four."]


@pytest.mark.parametrize("client", [Format.MESSAGES, Format.RESPONSES, Format.GENERATE])
def test_arguments_that_are_an_object_are_read(client: Format) -> None:
    call: dict[str, Any] = {**chat_call("f"), "function": {"name": "f", "arguments": {"city": "Riga"}}}
    assert b"Riga" in relay_answer(ask(client), Format.CHAT, chat_answer({"tool_calls": [call]})).body
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    reply = said(client, relay.feed(chat_stream({"tool_calls": [call]})) + relay.end())
    assert essence(reply)[0][2:] == ("f", {"city": "Riga"})


@pytest.mark.parametrize("upstream", [Format.MESSAGES, Format.RESPONSES, Format.GENERATE])
def test_a_call_without_arguments_streams_an_empty_object(upstream: Format) -> None:
    stream = streamed(ModelReply(blocks=(ToolCall(id="c", name="f"),), stop=Stop.TOOLS), upstream, [])
    relay = relay_stream(ask(Format.CHAT, stream=True), upstream)
    [call] = said(Format.CHAT, relay.feed(stream) + relay.end()).blocks
    assert isinstance(call, ToolCall)
    assert call.arguments == "{}"


@pytest.mark.parametrize("client", [Format.MESSAGES, Format.RESPONSES, Format.GENERATE])
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([b"\\ud83d", b"\\ude00"], "\U0001f600"),
        ([b"a\\ud83d", b"\\ude00b"], "a\U0001f600b"),
        ([b"a\\ud83d", b"b"], "a\ufffdb"),
        ([b"a\\ude00", b"b"], "a\ufffdb"),
        ([b"a\\ud83d"], "a\ufffd"),
    ],
)
def test_halves_of_a_character_in_two_chunks_become_the_character(
    client: Format, pieces: list[bytes], text: str
) -> None:
    chunks = [b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % piece for piece in pieces]
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    reply = said(client, relay.feed(b"".join(chunks) + end) + relay.end())
    assert "".join(block.text for block in reply.blocks if isinstance(block, TextBlock)) == text


@pytest.mark.parametrize("reason", ["", None])
@pytest.mark.parametrize("client", FORMATS)
def test_an_empty_reason_ends_no_answer(client: Format, reason: str | None) -> None:
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half an "}, "finish_reason": reason}]}
    relay.feed(b"data: " + encode(chunk) + b"\n\n")
    relay.end()
    assert not relay.complete


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("upstream", [Format.CHAT, Format.GENERATE])
def test_a_reason_is_no_end_while_text_follows(client: Format, upstream: Format) -> None:
    def piece(text: str, reason: str | None = None) -> bytes:
        if upstream is Format.CHAT:
            chunk: Any = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}
        else:
            candidate = {"content": {"parts": [{"text": text}]}, "finishReason": reason and reason.upper()}
            chunk = {"candidates": [candidate]}
        return b"data: " + encode(chunk) + b"\n\n"

    relay = relay_stream(ask(client, stream=True), upstream)
    relay.feed(piece("Half an ", "stop") + piece("ans"))
    relay.end()
    assert not relay.complete
    relay = relay_stream(ask(client, stream=True), upstream)
    reply = said(client, relay.feed(piece("Half an ", "stop") + piece("answer", "stop")) + relay.end())
    assert relay.complete
    assert "".join(block.text for block in reply.blocks if isinstance(block, TextBlock)) == "Half an answer"


@pytest.mark.parametrize("client", FORMATS)
def test_an_unspecified_reason_of_google_ends_no_answer(client: Format) -> None:
    relay = relay_stream(ask(client, stream=True), Format.GENERATE)
    candidate = {"content": {"parts": [{"text": "Half"}]}, "finishReason": "FINISH_REASON_UNSPECIFIED"}
    relay.feed(b"data: " + encode({"candidates": [candidate]}) + b"\n\n")
    relay.end()
    assert not relay.complete


@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
def test_a_whole_answer_can_become_a_stream(client: Format, upstream: Format) -> None:
    body = golden(upstream, "json")
    whole = stream_answer(ask(client, stream=True), upstream, body)
    expected = conversions.read_answer(upstream, node_of(upstream, json.loads(body)))
    assert essence(said(client, whole.written)) == essence(expected)
    assert whole.tokens == expected.tokens
    assert whole.generated > 0
