"""A request without the thoughts that an upstream cannot verify. The rest of the conversation stays as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ForwardedRequest, forward_request
from opencode_cloud.gateway.formats.models import ReasoningBlock
from opencode_cloud.gateway.formats.sealing import UNSIGNED, seal
from tests.unit.gateway.formats.speaking import FORMATS, PAIRS, USER, ask

USE = {"type": "tool_use", "id": "call_1", "name": "f", "input": {"signature": "mine", "type": "thinking"}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "done"}]}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "c2ln"}
CALLING = {"role": "assistant", "content": [THOUGHT, REDACTED, USE]}
BUDGET = {"type": "enabled", "budget_tokens": 2000}
CLEARING = {"type": "clear_thinking_20251015", "keep": "all"}


def without(client: Format, target: Format, model: str = "upstream-model", **members: Any) -> ForwardedRequest:
    return forward_request(ask(client, **members), target, model, str, thoughtless=True)


def body_without(client: Format, model: str = "upstream-model", **members: Any) -> dict[str, Any]:
    return json.loads(without(client, client, model, **members).body)


def histories(sealed: str) -> dict[Format, dict[str, Any]]:
    """Return conversations in which the model thought, with a signature of its own, and called a tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = {
        "role": "assistant",
        "content": None,
        "reasoning_details": [{"type": "reasoning.encrypted", "data": sealed}],
        "tool_calls": [{**call, "extra_content": {"google": {"thought_signature": sealed}}}],
    }
    model_parts = [
        {"text": "hm", "thought": True, "thoughtSignature": sealed},
        {"functionCall": {"id": "call_1", "name": "f", "args": {}}, "thoughtSignature": sealed},
    ]
    response = {"functionResponse": {"id": "call_1", "name": "f", "response": {"output": "done"}}}
    thought = {**THOUGHT, "signature": sealed}
    return {
        Format.CHAT: {"messages": [*USER, chat, {"role": "tool", "tool_call_id": "call_1", "content": "done"}]},
        Format.MESSAGES: {"messages": [*USER, {"role": "assistant", "content": [thought, USE]}, RESULT]},
        Format.RESPONSES: {
            "input": [
                *USER,
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed},
                {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "done"},
            ]
        },
        Format.GENERATE: {
            "contents": [
                {"role": "user", "parts": [{"text": "go"}]},
                {"role": "model", "parts": model_parts},
                {"role": "user", "parts": [response]},
            ]
        },
    }


@pytest.mark.parametrize("client", FORMATS)
def test_an_upstream_of_the_same_format_gets_the_conversation_without_its_thoughts(client: Format) -> None:
    history = histories("c2lnbmVk")[client]
    kept = forward_request(ask(client, **history), client, "m", str)
    assert (b"c2lnbmVk" in kept.body, kept.dropped) == (True, ())
    sent = without(client, client, **history)
    assert b"c2lnbmVk" not in sent.body
    assert b"call_1" in sent.body
    assert b"done" in sent.body
    assert sent.dropped == ("thoughts",)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_thoughts_that_the_gateway_sealed_for_the_upstream_are_left_out_too(client: Format, target: Format) -> None:
    history = histories(seal(ReasoningBlock(text="hm", origin=target.value, signature="c2lnbmVk")))[client]
    sent = without(client, target, "gemini-3-pro", **history)
    assert b"c2lnbmVk" not in sent.body
    assert b"done" in sent.body
    assert "thoughts" in sent.dropped


@pytest.mark.parametrize("client", FORMATS)
def test_a_conversation_without_thoughts_is_the_same(client: Format) -> None:
    asked = ask(client)
    assert forward_request(asked, client, "m", str, thoughtless=True) == forward_request(asked, client, "m", str)


def test_members_of_a_tools_arguments_are_no_thoughts() -> None:
    body = body_without(Format.MESSAGES, messages=[*USER, CALLING, RESULT])
    assert body["messages"] == [*USER, {"role": "assistant", "content": [USE]}, RESULT]


def test_a_turn_of_thoughts_alone_is_left_out() -> None:
    body = body_without(Format.MESSAGES, messages=[*USER, {"role": "assistant", "content": [THOUGHT]}, *USER])
    assert body["messages"] == [*USER, *USER]


@pytest.mark.parametrize(
    ("model", "messages", "thinks"),
    [
        ("claude-sonnet-4-5", [*USER, CALLING, RESULT], False),
        ("claude-sonnet-4-5", [*USER, CALLING, RESULT, {"role": "assistant", "content": "x"}, *USER], True),
        ("claude-sonnet-4-6", [*USER, CALLING, RESULT], True),
    ],
)
def test_claude_does_not_think_where_it_would_miss_the_thoughts_of_a_call(
    model: str, messages: list[Any], thinks: bool
) -> None:
    cleared = {"edits": [CLEARING, {"type": "clear_tool_uses_20250919"}]}
    body = body_without(
        Format.MESSAGES, model, messages=messages, thinking=BUDGET, context_management=cleared, max_tokens=4096
    )
    assert ("thinking" in body) is thinks
    assert (CLEARING in body["context_management"]["edits"]) is thinks
    alone = {"edits": [CLEARING]}
    body = body_without(Format.MESSAGES, model, messages=messages, thinking=BUDGET, context_management=alone)
    assert ("context_management" in body) is thinks


@pytest.mark.parametrize(("model", "signature"), [("gemini-3-pro", UNSIGNED), ("gemini-2.5-pro", None)])
@pytest.mark.parametrize(
    ("call", "name"), [("functionCall", "thoughtSignature"), ("function_call", "thought_signature")]
)
def test_the_first_call_of_gemini_has_the_signature_that_skips_validation(
    model: str, signature: str | None, call: str, name: str
) -> None:
    parts = [
        {"text": "x", name: "c2ln"},
        {call: {"name": "f", "args": {}}, name: "c2ln"},
        {call: {"name": "g", "args": {}}},
    ]
    contents = [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": parts}]
    [_, turn] = body_without(Format.GENERATE, model, contents=contents)["contents"]
    text, first, second = turn["parts"]
    assert text == {"text": "x"}
    assert (first[call]["name"], first.get("thoughtSignature"), "thought_signature" in first) == ("f", signature, False)
    assert second == parts[2]


def test_a_call_of_gemini_at_its_compatible_endpoint_skips_validation() -> None:
    [_, answer, _] = body_without(Format.CHAT, **histories("c2ln")[Format.CHAT])["messages"]
    assert answer["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": UNSIGNED}}
    assert "reasoning_details" not in answer


def test_a_compaction_stays() -> None:
    items = [{"type": "compaction", "encrypted_content": "gAAA"}, *USER]
    assert body_without(Format.RESPONSES, input=items)["input"] == items
