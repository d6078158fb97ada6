"""Members that a client sends by default are never a reason to refuse its request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import WIRE_FORMATS, forward_request, relay_answer, relay_stream
from opencode_cloud.gateway.formats.members import Treatment, check_members
from tests.unit.gateway.formats.speaking import PAIRS, PROMPTS, USER, ask, data_events, encode, forwarded
from tests.unit.gateway.formats.test_limits import SCHEMA, chat_answer, chat_call, chat_stream

CLAUDE_CODE: dict[str, Any] = {
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "high"},
    "metadata": {"user_id": '{"device_id":"d","session_id":"s"}'},
    "cache_control": {"type": "ephemeral"},
    "tools": [{"name": "Bash", "input_schema": SCHEMA}, {"type": "web_search_20250305", "name": "web_search"}],
}
CODEX: dict[str, Any] = {
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"summary": "auto"},
    "prompt_cache_key": "s",
    "client_metadata": {"x": "y"},
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "truncation": "auto",
    "max_tool_calls": 5,
    "context_management": [{"type": "compaction"}],
    "tools": [
        {"type": "function", "name": "exec", "parameters": SCHEMA},
        {"type": "web_search", "external_web_access": False},
        {"type": "image_generation"},
        {"type": "local_shell"},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "s"}},
        {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]},
    ],
}
CHAT_CLIENTS: dict[str, Any] = {
    "parallel_tool_calls": False,
    "stop": ["END"],
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "seed": 7,
    "store": True,
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "response_format": {"type": "json_object"},
    "logprobs": False,
    "top_logprobs": 0,
    "a_hint_of_tomorrow": {"x": 1},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
}
GEMINI: dict[str, Any] = {
    "safetySettings": [{"category": "c", "threshold": "t"}],
    "labels": {"a": "b"},
    "generationConfig": {"topK": 64, "candidateCount": 1, "responseModalities": ["TEXT"], "mediaResolution": "LOW"},
    "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
}
CONFIG = "generationConfig"
MEMORY = {"type": "memory_20250818", "name": "m"}
DEFAULTS = {
    Format.CHAT: CHAT_CLIENTS,
    Format.MESSAGES: CLAUDE_CODE,
    Format.RESPONSES: CODEX,
    Format.GENERATE: GEMINI,
}


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_defaults_of_clients_reach_every_upstream(client: Format, target: Format) -> None:
    sent = forward_request(ask(client, **DEFAULTS[client]), target, "m", str)
    assert sent.dropped
    assert "web_search" not in sent.body.decode()


@pytest.mark.parametrize(
    ("client", "target", "members", "dropped"),
    [
        (Format.MESSAGES, Format.CHAT, {"context_management": {"edits": [1]}}, ("context_management",)),
        (Format.CHAT, Format.MESSAGES, {"a_new_hint": 1, "prediction": {"x": 1}}, ("a_new_hint", "prediction")),
        (Format.CHAT, Format.MESSAGES, {"seed": 7}, ("seed",)),
        (Format.CHAT, Format.GENERATE, {"seed": 7}, ()),
        (Format.RESPONSES, Format.CHAT, {"max_tool_calls": 3, "store": False}, ("max_tool_calls",)),
        (
            Format.GENERATE,
            Format.CHAT,
            {"generation_config": {"media_resolution": "x"}},
            (f"{CONFIG}.mediaResolution",),
        ),
        (Format.GENERATE, Format.CHAT, {CONFIG: {"newHint": 1}}, (f"{CONFIG}.newHint",)),
        (Format.MESSAGES, Format.CHAT, {"tools": [MEMORY]}, ("tools.memory_20250818",)),
    ],
)
def test_dropped_hints_are_named(
    client: Format, target: Format, members: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert forward_request(ask(client, **members), target, "m", str).dropped == dropped


@pytest.mark.parametrize("wire", WIRE_FORMATS.values(), ids=lambda wire: wire.name)
def test_every_member_of_a_plain_request_has_a_rule_and_every_refusal_a_reason(wire: Any) -> None:
    assert list(check_members(wire.node(PROMPTS[wire.name]), wire.members)) == []
    for rule in wire.members.values():
        assert rule.reason or rule.treatment not in (Treatment.DROP, Treatment.REFUSE, Treatment.EMULATE)


# ------------------------------------------------------------------------------------------------ tools of Responses


NAMESPACE = {
    "type": "namespace",
    "name": "agents",
    "tools": [{"type": "function", "name": "spawn", "parameters": SCHEMA}],
}
CUSTOM = {"type": "custom", "name": "patch", "description": "d", "format": {"syntax": "lark", "definition": "start: x"}}
HISTORY = [
    {"role": "user", "content": "go"},
    {"type": "function_call", "call_id": "a", "namespace": "agents", "name": "spawn", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "*** Begin"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    {"type": "function_call_output", "call_id": "a", "output": "1"},
    {"type": "custom_tool_call_output", "call_id": "b", "output": "2"},
]


@pytest.mark.parametrize("target", [Format.CHAT, Format.MESSAGES, Format.GENERATE])
def test_namespaces_and_custom_tools_reach_every_upstream_with_their_history(target: Format) -> None:
    asked = ask(Format.RESPONSES, tools=[NAMESPACE, CUSTOM], input=HISTORY)
    text = forward_request(asked, target, "m", str).body.decode()
    assert text.count("agents__spawn") >= 2
    assert "start: x" in text
    assert "*** Begin" in text
    assert "namespace" not in text


def calls_of(stream: bytes) -> list[dict[str, Any]]:
    return [event["item"] for event in data_events(stream) if event["type"] == "response.output_item.done"]


def test_calls_come_back_in_the_form_of_the_clients_tools() -> None:
    asked = ask(Format.RESPONSES, tools=[NAMESPACE, CUSTOM])
    calls = [chat_call("agents__spawn", '{"city":"x"}'), chat_call("patch", '{"input":"*** Begin"}', 1)]
    whole = json.loads(relay_answer(asked, Format.CHAT, chat_answer({"tool_calls": calls})).body)
    asked = ask(Format.RESPONSES, stream=True, tools=[NAMESPACE, CUSTOM])
    relay = relay_stream(asked, Format.CHAT)
    stream = relay.feed(chat_stream({"tool_calls": calls[:1]}, {"tool_calls": calls[1:]}))
    for spawn, patch in (whole["output"], calls_of(stream)):
        assert (spawn["type"], spawn["namespace"], spawn["name"]) == ("function_call", "agents", "spawn")
        assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "patch", "*** Begin")
        assert "namespace" not in patch
    deltas = [event for event in data_events(stream) if event["type"] == "response.custom_tool_call_input.delta"]
    assert [event["delta"] for event in deltas] == ["*** Begin"]


def test_tools_that_the_input_adds_are_offered() -> None:
    added = [{"role": "user", "content": "x"}, {"type": "additional_tools", "tools": [CUSTOM, {"type": "mcp"}]}]
    sent = forward_request(ask(Format.RESPONSES, input=added), Format.CHAT, "m", str)
    assert [tool["function"]["name"] for tool in json.loads(sent.body)["tools"]] == ["patch"]
    assert sent.dropped == ("tools.mcp",)


@pytest.mark.parametrize("choice", [{"type": "custom", "name": "patch"}, {"type": "function", "name": "patch"}])
def test_a_custom_tool_can_be_forced(choice: dict[str, str]) -> None:
    sent = forward_request(ask(Format.RESPONSES, tools=[CUSTOM], tool_choice=choice), Format.MESSAGES, "m", str)
    assert json.loads(sent.body)["tool_choice"] == {"type": "tool", "name": "patch"}


def test_custom_tools_of_chat_come_back_as_custom_calls() -> None:
    tools = [{"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}}]
    block = {"type": "tool_use", "id": "t", "name": "patch", "input": {"input": "*** Begin"}}
    document = {"type": "message", "content": [block], "stop_reason": "tool_use"}
    whole = json.loads(relay_answer(ask(Format.CHAT, tools=tools), Format.MESSAGES, encode(document)).body)
    [call] = whole["choices"][0]["message"]["tool_calls"]
    assert (call["type"], call["custom"]) == ("custom", {"name": "patch", "input": "*** Begin"})
    events = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    relay = relay_stream(ask(Format.CHAT, stream=True, tools=tools), Format.MESSAGES)
    out = b"".join(relay.feed(b"data: " + encode(event) + b"\n\n") for event in events)
    deltas = [choice["delta"] for event in data_events(out) if event != "[DONE]" for choice in event["choices"]]
    custom = [call["custom"] for delta in deltas for call in delta.get("tool_calls", [])]
    assert custom == [{"name": "patch", "input": ""}, {"input": "*** Begin"}]


def test_allowed_tools_restrict_the_offered_ones() -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in "fgh"]
    named = [{"type": "function", "function": {"name": name}} for name in "fg"]
    for mode, choice in (("auto", {"type": "auto"}), ("required", {"type": "any"})):
        allowed = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}
        asked = ask(Format.CHAT, tools=tools, tool_choice=allowed)
        body = json.loads(forward_request(asked, Format.MESSAGES, "m", str).body)
        assert [tool["name"] for tool in body["tools"]] == ["f", "g"]
        assert body["tool_choice"] == choice


def test_work_of_the_provider_in_the_history_is_left_out() -> None:
    blocks = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "Found."},
    ]
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "y"},
    ]
    body = json.loads(forward_request(ask(Format.MESSAGES, messages=messages), Format.CHAT, "m", str).body)
    assert body["messages"][1] == {"role": "assistant", "content": "Found."}


def test_cache_marks_of_chat_reach_messages() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Rules.", **mark}]},
        {"role": "user", "content": "Hi", **mark},
    ]
    body = json.loads(forward_request(ask(Format.CHAT, messages=messages), Format.MESSAGES, "m", str).body)
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}


HISTORIES: list[tuple[Format, dict[str, Any], str]] = [
    (
        Format.MESSAGES,
        {"messages": [*USER, {"role": "user", "content": [{"type": "compaction", "content": "so far"}]}]},
        "so far",
    ),
    (
        Format.MESSAGES,
        {
            "messages": [
                *USER,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "ToolSearch", "input": {}}]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "tool_reference", "tool_name": "so far"}],
                        }
                    ],
                },
            ]
        },
        "so far",
    ),
    (
        Format.MESSAGES,
        {
            "messages": [
                *USER,
                {"role": "system", "content": [{"type": "tool_changes"}, {"type": "text", "text": "so far"}]},
            ]
        },
        "so far",
    ),
    (
        Format.RESPONSES,
        {
            "input": [
                *USER,
                {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
                {"type": "local_shell_call_output", "call_id": "c", "output": "so far"},
            ]
        },
        "so far",
    ),
    (
        Format.RESPONSES,
        {
            "input": [
                *USER,
                {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "update_file", "diff": "so far"}},
                {"type": "apply_patch_call_output", "call_id": "c", "status": "completed", "output": "done"},
            ]
        },
        "so far",
    ),
    (
        Format.RESPONSES,
        {
            "input": [
                *USER,
                {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
                {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "so far"}]},
            ]
        },
        "so far",
    ),
    (
        Format.GENERATE,
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {
                    "role": "model",
                    "parts": [
                        {"executableCode": {"code": "1"}},
                        {"codeExecutionResult": {"output": "1"}},
                        {"text": "so far"},
                    ],
                },
                {"role": "user", "parts": [{"text": "Go on"}]},
            ]
        },
        "so far",
    ),
]


@pytest.mark.parametrize(("client", "members", "kept"), HISTORIES)
def test_a_history_of_another_model_goes_on_at_every_upstream(
    client: Format, members: dict[str, Any], kept: str
) -> None:
    for upstream in Format:
        assert kept in json.dumps(forwarded(ask(client, **members), upstream))


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.RESPONSES, Format.GENERATE])
def test_a_blank_text_of_the_system_is_left_out(upstream: Format) -> None:
    messages = [*USER, {"role": "assistant", "content": "Yes"}, {"role": "system", "content": " "}, *USER]
    document = forwarded(ask(Format.MESSAGES, system="", messages=messages), upstream)
    text = json.dumps(document)
    assert "system" not in text.lower()
    assert "developer" not in text
    assert "instructions" not in document
