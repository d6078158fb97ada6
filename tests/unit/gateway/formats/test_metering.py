"""All generated text is counted, in whatever form an upstream sends it: usage is estimated by it."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import relay_answer, relay_stream
from tests.unit.gateway.formats.speaking import ask, encode

TEXT = "sixteen letters."
CALLED = {"city": TEXT}
CHAT_FORMS: list[dict[str, Any]] = [
    {"content": TEXT},
    {"content": [{"type": "text", "text": TEXT}]},
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": TEXT}]}]},
    {"refusal": TEXT},
    {"reasoning_content": TEXT},
    {"reasoning": TEXT},
    {"reasoning_details": [{"type": "reasoning.text", "text": TEXT}]},
    {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": TEXT}}]},
    {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": CALLED}}]},
    {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": TEXT}}]},
    {"function_call": {"name": "f", "arguments": TEXT}},
    {"function_call": {"name": "f", "arguments": CALLED}},
    {"audio": {"id": "a", "data": "AAAA" * 99, "transcript": TEXT}},
    {"a_member_of_tomorrow": TEXT},
]
CONVERTED = [form for form in CHAT_FORMS if "custom" not in str(form) and "tomorrow" not in str(form)]


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + encode(event) + b"\n\n" for event in events)


def chat(delta: dict[str, Any], client: Format = Format.CHAT) -> int:
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    relay.feed(stream({"choices": [{"index": 0, "delta": {"role": "assistant", **delta}}]}))
    assert not relay.garbage
    assert relay.progress
    return relay.generated


def close_to_the_text(generated: int) -> bool:
    return len(TEXT) <= generated <= len(encode(CALLED)) + len("f")


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_every_form_of_text_counts_in_a_stream_of_chat(form: dict[str, Any]) -> None:
    assert close_to_the_text(chat(form))


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_every_form_of_text_counts_in_a_whole_answer_of_chat(form: dict[str, Any]) -> None:
    body = encode({"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", **form}}]})
    assert close_to_the_text(relay_answer(ask(Format.CHAT), Format.CHAT, body).generated)


@pytest.mark.parametrize("form", CONVERTED)
def test_every_form_of_text_counts_where_chat_is_converted(form: dict[str, Any]) -> None:
    assert close_to_the_text(chat(form, Format.MESSAGES))
    body = encode({"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", **form}}]})
    answer = relay_answer(ask(Format.MESSAGES), Format.CHAT, body)
    assert close_to_the_text(answer.generated)
    assert TEXT.encode() in answer.body


def test_a_thought_that_is_repeated_in_several_members_counts_once() -> None:
    repeated = {"reasoning": TEXT, "reasoning_content": TEXT, "reasoning_details": [{"text": TEXT}]}
    assert chat(repeated) == len(TEXT)


def test_the_text_so_far_that_stands_beside_each_piece_does_not_count() -> None:
    relay = relay_stream(ask(Format.CHAT, stream=True), Format.CHAT)
    for number in range(1, 4):
        choice = {"index": 0, "delta": {"content": TEXT}, "message": {"content": TEXT * number}}
        relay.feed(stream({"choices": [choice]}))
    assert relay.generated == 3 * len(TEXT)


def test_what_is_no_text_does_not_count() -> None:
    logprobs = {"content": [{"token": "x", "logprob": -1, "top_logprobs": [{"token": "y"}]}]}
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "logprobs": logprobs}
    body = encode({"id": "chatcmpl-123", "system_fingerprint": "fp_abc", "choices": [choice]})
    assert relay_answer(ask(Format.CHAT), Format.CHAT, body).generated == len(TEXT)


def test_a_block_of_messages_that_begins_with_its_text_counts() -> None:
    relay = relay_stream(ask(Format.MESSAGES, stream=True), Format.MESSAGES)
    block = {"type": "text", "text": TEXT}
    relay.feed(stream({"type": "content_block_start", "index": 0, "content_block": block}))
    assert relay.generated == len(TEXT)


def test_items_of_responses_without_deltas_count_and_with_them_count_once() -> None:
    item = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": TEXT}]}
    done = {"type": "response.output_item.done", "item": item}
    delta = {"type": "response.output_text.delta", "delta": TEXT}
    for events in (
        (done,),
        (delta,),
        (delta, done),
        (delta, done, {"type": "response.completed", "response": {"output": [item]}}),
    ):
        relay = relay_stream(ask(Format.RESPONSES, stream=True), Format.RESPONSES)
        relay.feed(stream(*events))
        assert relay.generated == len(TEXT)


@pytest.mark.parametrize(
    "part",
    [
        {"text": TEXT},
        {"functionCall": {"name": "f", "args": CALLED}},
        {"executableCode": {"language": "", "code": TEXT}},
        {"codeExecutionResult": {"output": TEXT}},
    ],
)
def test_every_part_of_generate_counts(part: dict[str, Any]) -> None:
    relay = relay_stream(ask(Format.GENERATE, stream=True), Format.GENERATE)
    relay.feed(stream({"candidates": [{"content": {"parts": [part]}}]}))
    assert close_to_the_text(relay.generated)


FRAMES: list[tuple[Format, dict[str, Any]]] = [
    (Format.CHAT, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
    (Format.MESSAGES, {"type": "message_start", "message": {"role": "assistant", "content": []}}),
    (Format.MESSAGES, {"type": "ping"}),
    (Format.MESSAGES, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    (Format.RESPONSES, {"type": "response.created", "response": {"output": []}}),
    (Format.RESPONSES, {"type": "response.in_progress", "response": {"output": []}}),
    (Format.RESPONSES, {"type": "response.output_item.added", "item": {"type": "message", "id": "m", "content": []}}),
    (Format.RESPONSES, {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}),
    (Format.GENERATE, {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}}]}),
]
"""Events that only frame an answer."""
BEGINNINGS: list[tuple[Format, dict[str, Any]]] = [
    (Format.CHAT, {"choices": [{"index": 0, "delta": {"content": "x"}}]}),
    (Format.MESSAGES, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}}),
    (Format.MESSAGES, {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}),
    (Format.MESSAGES, {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t", "name": "f"}}),
    (Format.RESPONSES, {"type": "response.output_item.added", "item": {"type": "reasoning", "id": "r"}}),
    (
        Format.RESPONSES,
        {"type": "response.output_item.added", "item": {"type": "function_call", "call_id": "c", "name": "f"}},
    ),
    (Format.RESPONSES, {"type": "response.output_text.delta", "delta": "x"}),
    (Format.GENERATE, {"candidates": [{"content": {"parts": [{"text": "", "thought": True}]}}]}),
    (Format.GENERATE, {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}),
]
"""Events by which an answer has begun: a model that thinks unseen may send nothing for minutes after the first."""


@pytest.mark.parametrize("client", list(Format))
@pytest.mark.parametrize(("upstream", "event"), FRAMES)
def test_the_frame_of_an_answer_is_no_beginning(client: Format, upstream: Format, event: dict[str, Any]) -> None:
    relay = relay_stream(ask(client, stream=True), upstream)
    relay.feed(stream(event))
    assert (relay.progress, relay.generated, relay.garbage) == (0, 0, False)


@pytest.mark.parametrize("client", list(Format))
@pytest.mark.parametrize(("upstream", "event"), BEGINNINGS)
def test_an_answer_has_begun_with_what_was_generated(client: Format, upstream: Format, event: dict[str, Any]) -> None:
    relay = relay_stream(ask(client, stream=True), upstream)
    relay.feed(stream(event))
    assert relay.progress > 0
