"""The strict upstreams accept what the vendors' references show, and refuse what the real APIs refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.upstreams.strict import RULES

Json = dict[str, Any]
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT_TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
CHAT: Json = {
    "model": "m",
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ],
    "tools": [CHAT_TOOL],
    "tool_choice": "auto",
    "stream": True,
    "stream_options": {"include_usage": True},
}
RESPONSES: Json = {
    "model": "m",
    "store": False,
    "input": [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
}
MESSAGES: Json = {
    "model": "m",
    "max_tokens": 100,
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "done"}]},
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}],
}
GENERATE: Json = {
    "contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"x": {}}}}]}],
    "generationConfig": {"temperature": 1, "thinkingConfig": {}},
}
VALID = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "generate": GENERATE}
LAST_TEXT = {"role": "assistant", "content": [{"type": "text", "text": "ends "}]}
MARKED = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}] * 5
GOOGLE_TOOL = {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": False}}]}


@pytest.mark.parametrize("format_", VALID)
def test_a_request_of_the_reference_is_valid(format_: str) -> None:
    assert list(RULES[format_](VALID[format_])) == []


@pytest.mark.parametrize(
    ("format_", "change", "reason"),
    [
        ("chat", {"thinking": {}}, "thinking is an unknown member"),
        ("chat", {"messages": CHAT["messages"][:2]}, "calls without results at the end"),
        ("chat", {"messages": CHAT["messages"][::2]}, "a result without its call"),
        ("chat", {"messages": [*CHAT["messages"][:2], *CHAT["messages"]]}, "calls without results"),
        ("chat", {"tools": []}, "tool_choice is allowed with tools only"),
        ("chat", {"tools": [CHAT_TOOL, CHAT_TOOL]}, "two tools have one name"),
        ("chat", {"stream": False}, "stream_options is allowed with stream only"),
        ("chat", {"user": "x" * 65}, "user is longer than 64"),
        ("chat", {"stop": list("abcde")}, "more than four stop sequences"),
        ("chat", {"tools": [{"type": "function", "function": {"name": "a b"}}]}, "a b is no name of a tool"),
        ("responses", {"store": True}, "stored at the provider"),
        ("responses", {"max_output_tokens": 1}, "max_output_tokens is below 16"),
        ("responses", {"tools": [{"type": "web_search"}]}, "the hosted tool web_search"),
        ("responses", {"input": RESPONSES["input"][:3]}, "are no pairs"),
        ("responses", {"input": [{"type": "reasoning", "summary": []}]}, "reasoning without encrypted_content"),
        ("messages", {"reasoning_effort": "low"}, "reasoning_effort is an unknown member"),
        ("messages", {"messages": MESSAGES["messages"][:2]}, "calls without results at the end"),
        ("messages", {"messages": MESSAGES["messages"][::2]}, "results without their calls"),
        ("messages", {"messages": MESSAGES["messages"][1:]}, "the first message is the assistant's"),
        ("messages", {"messages": [{"role": "user", "content": " "}]}, "a blank text"),
        ("messages", {"messages": [*MESSAGES["messages"], LAST_TEXT]}, "ends in white space"),
        ("messages", {"system": MARKED}, "5 blocks with cache_control"),
        ("messages", {"tools": [], "tool_choice": {"type": "auto"}}, "tool_choice is allowed with tools only"),
        ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "budget_tokens"),
        ("messages", {"metadata": {"user_id": "a@b.c"}}, "user_id is an e-mail address"),
        ("generate", {"model": "m", "stream": True}, "stream is an unknown member"),
        ("generate", {"contents": GENERATE["contents"][:2]}, "calls without results at the end"),
        ("generate", {"contents": GENERATE["contents"][::2]}, "1 results behind 0 calls"),
        ("generate", {"tools": [GOOGLE_TOOL]}, "additionalProperties is no member of a schema"),
        ("generate", {"tools": [], "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}, "without functions"),
        ("generate", {"generationConfig": {"max_tokens": 1}}, "max_tokens is an unknown member"),
    ],
)
def test_a_request_that_the_real_api_refuses_is_refused(format_: str, change: Json, reason: str) -> None:
    assert [found for found in RULES[format_]({**VALID[format_], **change}) if reason in found]
