"""A relay never raises an unexpected error for any input: it reports garbage, or an error of a known type."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import UpstreamGarbage, relay_answer, relay_stream
from tests.unit.gateway.formats.speaking import FORMATS, ask, golden

MEMBERS = ["choices", "delta", "content", "tool_calls", "index", "function", "arguments", "id", "type", "usage", "item"]
MEMBERS += ["candidates", "parts", "text", "functionCall", "output", "response", "message", "error", "content_block"]
TYPES = [
    "content_block_start",
    "content_block_delta",
    "message_delta",
    "response.output_item.done",
    "response.completed",
]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5) | st.sampled_from(TYPES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_bytes_of_any_kind(stream: bytes) -> None:
    for client in FORMATS:
        for upstream in FORMATS:
            relay = relay_stream(ask(client, stream=True), upstream)
            relay.feed(stream)
            relay.end()
            assert not (relay.complete and relay.garbage)


@given(st.lists(ODD, max_size=4))
@settings(max_examples=150)
def test_json_of_any_kind(events: list[object]) -> None:
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    for client in FORMATS:
        for upstream in FORMATS:
            relay = relay_stream(ask(client, stream=True), upstream)
            relay.feed(stream)
            relay.end()


@given(ODD)
@settings(max_examples=100)
def test_whole_answers_of_any_kind(answer: object) -> None:
    for client in FORMATS:
        for upstream in FORMATS:
            try:
                relay_answer(ask(client), upstream, json.dumps(answer).encode())
            except UpstreamGarbage:
                continue


@pytest.mark.parametrize(
    "document",
    [
        {"message": "Forbidden"},
        {"detail": "Too many requests"},
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        {"choices": None, "content": None, "output": None, "candidates": None},
        {"choices": [], "candidates": [], "usage": {"prompt_tokens": 3}},
    ],
)
@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
def test_a_document_of_status_200_without_an_answer_is_none(client: Format, upstream: Format, document: object) -> None:
    with pytest.raises(UpstreamGarbage):
        relay_answer(ask(client), upstream, json.dumps(document).encode())


def test_an_answer_may_be_empty() -> None:
    for upstream, document in (
        (Format.MESSAGES, {"type": "message", "content": [], "stop_reason": "end_turn"}),
        (Format.RESPONSES, {"status": "completed", "output": []}),
        (Format.GENERATE, {"promptFeedback": {"blockReason": "SAFETY"}}),
        (Format.CHAT, {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]}),
    ):
        body = json.dumps(document).encode()
        assert relay_answer(ask(upstream), upstream, body).body == body


@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
@given(at=st.integers(0, 10_000), garbage=st.binary(min_size=1, max_size=5))
@settings(max_examples=10)
def test_damage_anywhere_in_a_stream(client: Format, upstream: Format, at: int, garbage: bytes) -> None:
    stream = golden(upstream)
    at %= len(stream)
    relay = relay_stream(ask(client, stream=True), upstream)
    relay.feed(stream[:at] + garbage + stream[at:])
    relay.end()


@pytest.mark.parametrize("upstream", FORMATS)
@given(data=st.data())
@settings(max_examples=40)
def test_events_in_any_order(upstream: Format, data: st.DataObject) -> None:
    events = [event + b"\n\n" for event in golden(upstream).replace(b"\r\n", b"\n").split(b"\n\n")[:-1]]
    order = data.draw(st.permutations(events) | st.lists(st.sampled_from(events), max_size=20))
    for client in FORMATS:
        relay = relay_stream(ask(client, stream=True), upstream)
        for event in order:
            relay.feed(event)
        relay.end()


def test_what_follows_an_item_that_is_done_is_garbage() -> None:
    delta = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"x"}\n\n'
    done = b'data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[]}}\n\n'
    for client in (Format.CHAT, Format.MESSAGES, Format.GENERATE):
        relay = relay_stream(ask(client, stream=True), Format.RESPONSES)
        relay.feed(delta + done)
        assert not relay.garbage
        assert relay.feed(delta) == b""
        assert relay.garbage


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.MESSAGES, Format.RESPONSES])
def test_nothing_follows_the_end_of_a_converted_stream(upstream: Format) -> None:
    for client in FORMATS:
        if client is not upstream:
            relay = relay_stream(ask(client, stream=True), upstream)
            assert relay.feed(golden(upstream))
            assert relay.feed(golden(upstream)) + relay.end() == b""
            assert relay.complete


@pytest.mark.parametrize(
    "page", [b"<html><body>Bad gateway</body></html>", b'{"object":"chat.completion"}\n\n', b"\n\nplain"]
)
@pytest.mark.parametrize("client", FORMATS)
def test_what_is_no_event_stream_is_garbage_and_not_passed_on(client: Format, page: bytes) -> None:
    relay = relay_stream(ask(client, stream=True), client)
    assert (relay.feed(page) + relay.end()).strip() == b""
    assert relay.garbage
    assert not relay.complete


def test_nothing_after_garbage_is_passed_on() -> None:
    relay = relay_stream(ask(Format.CHAT, stream=True), Format.CHAT)
    good = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    assert relay.feed(good + b"data: {oops\n\n" + good) == good
    assert relay.garbage
    assert relay.feed(good) == b""
    assert relay.end() == b""
    assert not relay.complete


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error":{"message":"no"}}', b"[" * 100_000])
@pytest.mark.parametrize("upstream", FORMATS)
def test_an_answer_that_is_none_is_garbage(upstream: Format, body: bytes) -> None:
    for client in FORMATS:
        if client is upstream and body == b"{}":
            continue  # the client may understand it
        with pytest.raises(UpstreamGarbage):
            relay_answer(ask(client), upstream, body)


def test_a_failed_response_is_no_answer() -> None:
    body = b'{"object":"response","status":"failed","error":{"code":"server_error","message":"Fell over"},"output":[]}'
    for client in FORMATS:
        with pytest.raises(UpstreamGarbage, match="Fell over"):
            relay_answer(ask(client), Format.RESPONSES, body)


def test_halves_of_surrogate_pairs_are_no_garbage() -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    for client in FORMATS:
        relay = relay_stream(ask(client, stream=True), Format.CHAT)
        relay.feed(event)
        assert not relay.garbage
        assert relay.generated == 3
