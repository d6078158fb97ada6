"""A client with its upstream's format gets the upstream's bytes, and the gateway meters them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import forward_request, read_request, relay_answer, relay_stream
from tests.unit.gateway.formats.speaking import FORMATS, TOKENS, ask, chunks, encode, forwarded, golden

CUTS = st.lists(st.integers(0, 1_000_000), max_size=20)


@pytest.mark.parametrize("format_", FORMATS)
@given(cuts=CUTS)
@settings(max_examples=40)
def test_every_byte_is_passed_on(format_: Format, cuts: list[int]) -> None:
    stream = golden(format_)
    relay = relay_stream(ask(format_, stream=True), format_)
    out = b"".join(relay.feed(chunk) for chunk in chunks(stream, cuts)) + relay.end()
    assert out == stream
    assert relay.complete
    assert relay.tokens is not None
    assert (relay.tokens.prompt, relay.tokens.output, relay.tokens.reasoning) == (2600, 91, 40)


@pytest.mark.parametrize("format_", FORMATS)
def test_what_was_generated_is_counted_on_the_way(format_: Format) -> None:
    relay = relay_stream(ask(format_, stream=True), format_)
    relay.feed(golden(format_))
    text = "Two cities, two calls.Let me look. ☀" + 2 * '{"city": "Paris"}'
    assert len(text.encode()) - 10 <= relay.generated <= len(text.encode()) + 120


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("format_", FORMATS)
def test_every_kind_of_line_end_is_understood(format_: Format, end: bytes) -> None:
    stream = b"\xef\xbb\xbf" + golden(format_).replace(b"\r\n", b"\n").replace(b"\n", end)
    relay = relay_stream(ask(format_, stream=True), format_)
    out = b"".join(relay.feed(stream[at : at + 1]) for at in range(len(stream))) + relay.end()
    assert out == stream
    assert relay.complete
    assert relay.tokens is not None


def test_only_whole_events_are_passed_on() -> None:
    relay = relay_stream(ask(Format.CHAT, stream=True), Format.CHAT)
    assert relay.feed(b'data: {"choices":[]}') == b""
    assert relay.feed(b"\n\ndata: ") == b'data: {"choices":[]}\n\n'


def test_comments_and_unknown_events_are_passed_on() -> None:
    stream = b': OPENROUTER PROCESSING\n\nevent: new_kind\ndata: {"type":"new_kind","delta":"x"}\n\n'
    relay = relay_stream(ask(Format.MESSAGES, stream=True), Format.MESSAGES)
    assert relay.feed(stream) == stream
    assert not relay.garbage


def test_usage_that_only_we_asked_for_is_read_and_dropped() -> None:
    stream = golden(Format.CHAT)
    asked = ask(Format.CHAT, stream=True, stream_options={"include_obfuscation": False})
    assert forwarded(asked, Format.CHAT)["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    relay = relay_stream(asked, Format.CHAT)
    out = relay.feed(stream) + relay.end()
    assert b'"choices": []' not in out
    assert out == b"".join(part + b"\n\n" for part in stream.split(b"\n\n")[:-1] if b'"choices": []' not in part)
    assert relay.tokens == Tokens(input=600, output=91, reasoning=40, cache_read=2000)


def test_usage_beside_text_is_not_dropped() -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}\n\n'
    relay = relay_stream(ask(Format.CHAT, stream=True, stream_options={}), Format.CHAT)
    assert relay.feed(chunk) == chunk


def test_chunks_without_choices_that_have_no_usage_are_not_dropped() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    filters = b'data: {"choices":[],"prompt_filter_results":[{}],"usage":null}\n\n'
    relay = relay_stream(ask(Format.CHAT, stream=True, stream_options={}), Format.CHAT)
    assert relay.feed(filters + usage + filters) == filters + filters


def test_messages_usage_is_merged_from_the_first_and_the_last_event() -> None:
    relay = relay_stream(ask(Format.MESSAGES, stream=True), Format.MESSAGES)
    relay.feed(golden(Format.MESSAGES))
    assert relay.tokens == TOKENS


@pytest.mark.parametrize("format_", FORMATS)
def test_a_whole_answer_keeps_its_bytes(format_: Format) -> None:
    body = golden(format_, "json")
    answer = relay_answer(ask(format_), format_, body)
    assert answer.body == body
    assert answer.tokens is not None
    assert (answer.tokens.prompt, answer.tokens.output, answer.tokens.reasoning) == (2600, 91, 40)
    assert answer.generated >= len("Two cities, two calls.Let me look.")


def test_a_request_keeps_every_byte_of_its_values() -> None:
    odd = b'[ {"role":"user", "content" : "x", "big":12345678901234567890123, "f":1.0e5, "dup":1, "dup":2} ]'
    asked = read_request(Format.CHAT, b'{"messages":' + odd + b' , "model":"ours"}')
    body = forward_request(asked, Format.CHAT, "theirs", str).body
    assert body == b'{"messages":' + odd + b',"model":"theirs"}'


def test_a_request_of_generate_is_forwarded_as_it_came() -> None:
    asked = ask(Format.GENERATE, safetySettings=[{"category": "x", "threshold": "BLOCK_NONE"}])
    assert forward_request(asked, Format.GENERATE, "theirs", str).body is asked.body


def test_a_large_event_takes_time_in_proportion_to_its_size() -> None:
    event = b"data: " + encode({"choices": [{"index": 0, "delta": {"content": "x" * 10_000_000}}]}) + b"\n\n"

    relay = relay_stream(ask(Format.CHAT, stream=True), Format.CHAT)
    began = time.thread_time()
    assert b"".join(relay.feed(event[at : at + 1000]) for at in range(0, len(event), 1000)) == event
    # Ten thousand chunks of one event; copying the rest for each would take minutes of processor time.
    assert time.thread_time() - began < 20


def test_many_small_events_in_one_chunk_take_time_in_proportion() -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\r\n\r\n' * 50_000
    relay = relay_stream(ask(Format.CHAT, stream=True), Format.CHAT)
    began = time.thread_time()
    assert relay.feed(chunk) == chunk
    assert time.thread_time() - began < 20
    assert relay.generated == 50_000
