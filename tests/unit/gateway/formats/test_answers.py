"""Answers that are not streamed reach clients of every other format."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import conversions, relay_answer
from opencode_cloud.gateway.formats.models import ModelReply, Stop
from opencode_cloud.gateway.formats.parsing import node_of
from tests.unit.gateway.formats.speaking import PAIRS, TOKENS, ask, encode, essence, golden, replies


def received(client: Format, upstream: Format, body: bytes) -> ModelReply:
    """Return the answer to the client."""
    answer = relay_answer(ask(client), upstream, body)
    return conversions.read_answer(client, node_of(client, json.loads(answer.body)))


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
