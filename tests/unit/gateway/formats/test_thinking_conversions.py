"""Effort and thoughts reach each generation of models in its way, and signed thoughts only their own upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.models import ReasoningBlock
from opencode_cloud.gateway.formats.sealing import MARK, seal
from tests.unit.gateway.formats.speaking import FORMATS, PAIRS, PROMPTS, USER, ask, forwarded


@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 24_000}, None),
        ("claude-sonnet-4-20250514", {"type": "enabled", "budget_tokens": 24_000}, None),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", {"type": "enabled", "budget_tokens": 24_000}, None),
        ("global.anthropic.claude-opus-4-6-v1", {"type": "adaptive", "display": "omitted"}, "high"),
        ("claude-opus-5", {"type": "adaptive", "display": "omitted"}, "high"),
        ("qwen3.5-plus", {"type": "enabled", "budget_tokens": 24_000}, None),
    ],
)
def test_effort_reaches_each_generation_of_claude_in_its_way(
    model: str, thinking: dict[str, Any], effort: str | None
) -> None:
    asked = ask(Format.CHAT, reasoning_effort="high", max_tokens=32_000, temperature=0.5)
    document = forwarded(asked, Format.MESSAGES, model)
    assert document["thinking"] == thinking
    assert document.get("output_config", {}).get("effort") == effort
    assert "temperature" not in document  # the upstream refuses this while the model thinks


@pytest.mark.parametrize(("model", "both"), [("claude-sonnet-4-5", False), ("claude-3-7-sonnet", True), ("kimi", True)])
def test_later_models_of_claude_get_no_top_p_beside_a_temperature(model: str, both: bool) -> None:
    document = forwarded(ask(Format.CHAT, temperature=0.5, top_p=0.9), Format.MESSAGES, model)
    assert document["temperature"] == 0.5
    assert ("top_p" in document) is both
    assert forwarded(ask(Format.CHAT, top_p=0.9), Format.MESSAGES, model)["top_p"] == 0.9


@pytest.mark.parametrize(
    ("model", "sampled"),
    [
        *((name, True) for name in ("claude-3-5-sonnet-20241022", "claude-sonnet-4-20250514", "claude-opus-4-6")),
        *((name, True) for name in ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "kimi-k2")),
        *((name, False) for name in ("claude-opus-4-7", "anthropic/claude-4.8-opus", "claude-sonnet-5-20260801")),
        *((name, False) for name in ("claude-haiku-5-5", "global.anthropic.claude-opus-5", "claude-mythos-preview")),
    ],
)
def test_models_of_claude_that_refuse_settings_of_sampling_get_none(model: str, sampled: bool) -> None:
    for asked in (
        ask(Format.CHAT, temperature=0, top_k=3, stop=["END"]),
        ask(Format.GENERATE, generationConfig={"temperature": 1, "topP": 0.95, "topK": 64, "stopSequences": ["END"]}),
    ):
        document = forwarded(asked, Format.MESSAGES, model)
        assert ("temperature" in document, "top_k" in document) == (sampled, sampled)
        assert "top_p" not in document or sampled
        assert document["stop_sequences"] == ["END"]


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-opus-5", "claude-mythos-preview"])
def test_models_of_claude_that_refuse_to_be_told_not_to_think_are_asked_to_think_little(model: str) -> None:
    document = forwarded(ask(Format.CHAT, reasoning_effort="none"), Format.MESSAGES, model)
    assert "thinking" not in document
    assert document["output_config"] == {"effort": "low"}
    earlier = forwarded(ask(Format.CHAT, reasoning_effort="none"), Format.MESSAGES, "claude-opus-4-6")
    assert earlier["thinking"] == {"type": "disabled"}


def test_a_budget_stays_below_the_limit_of_the_answer() -> None:
    asked = ask(Format.CHAT, reasoning_effort="high", max_tokens=2000)
    assert forwarded(asked, Format.MESSAGES)["thinking"]["budget_tokens"] == 1999
    assert "thinking" not in forwarded(ask(Format.CHAT, reasoning_effort="high", max_tokens=500), Format.MESSAGES)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gemini-2.5-pro", {"thinkingBudget": 4096}), ("gemini-3-flash", {"thinkingLevel": "LOW"})],
)
def test_effort_reaches_each_generation_of_gemini_in_its_way(model: str, expected: dict[str, Any]) -> None:
    document = forwarded(ask(Format.CHAT, reasoning_effort="low"), Format.GENERATE, model)
    assert document["generationConfig"]["thinkingConfig"] == expected


THINKS = {"thinking": {"type": "adaptive"}, "max_tokens": 32_000}
SILENT = {"thinking": {"type": "disabled"}, "max_tokens": 32_000}


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("gpt-4.1", "high", None),
        ("openai/gpt-4o", "high", None),
        ("gpt-5.1-chat-latest", "high", None),
        ("o1-mini", "high", None),
        ("grok-4", "high", None),
        ("o3", "xhigh", "high"),
        ("gpt-5", "max", "high"),
        ("gpt-5-codex", "xhigh", "high"),
        ("gpt-5.1", "xhigh", "high"),
        ("gpt-5.1-codex-max", "xhigh", "xhigh"),
        ("gpt-5.4", "max", "xhigh"),
        ("gpt-5.6-sol", "minimal", "low"),
        ("gpt-6-luna", "max", "max"),
        ("deepseek-v4", "max", "max"),
        ("grok-3-mini", "medium", "high"),
    ],
)
@pytest.mark.parametrize("target", [Format.CHAT, Format.RESPONSES])
def test_an_effort_that_a_model_refuses_becomes_the_nearest_that_it_takes(
    target: Format, model: str, effort: str, taken: str | None
) -> None:
    document = forwarded(ask(Format.MESSAGES, output_config={"effort": effort}, **THINKS), target, model)
    assert (document.get("reasoning_effort") or document.get("reasoning", {}).get("effort")) == taken
    if taken is None:  # summaries and encrypted thoughts are refused too
        assert not {"reasoning", "include"} & document.keys()


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("gpt-4.1", None),
        ("gpt-5", "minimal"),
        ("gpt-5-pro", "high"),
        ("o3", "low"),
        ("gpt-6-luna", "none"),
        ("gpt-6.1-sol", "low"),
        ("gpt-6-astra", "low"),
        ("gpt-5.1", "none"),
    ],
)
def test_models_that_always_think_are_asked_to_think_little(model: str, taken: str | None) -> None:
    assert forwarded(ask(Format.MESSAGES, **SILENT), Format.CHAT, model).get("reasoning_effort") == taken


@pytest.mark.parametrize(
    ("model", "asked", "taken"),
    [
        ("gemini-2.5-pro", SILENT, {"thinkingBudget": 128}),
        ("gemini-2.5-flash", SILENT, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinking": {"type": "enabled", "budget_tokens": 31_999}}, {"thinkingBudget": 31_999}),
        ("gemini-2.0-flash", SILENT, None),
        ("gemini-3-pro-preview", SILENT, {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", {"output_config": {"effort": "medium"}}, {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", {"output_config": {"effort": "medium"}}, {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash-preview", SILENT, {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", SILENT, {"thinkingLevel": "LOW"}),
        ("gemini-3-flash-preview", {"output_config": {"effort": "max"}}, {"thinkingLevel": "HIGH"}),
    ],
)
def test_each_model_of_gemini_gets_a_budget_or_level_that_it_takes(
    model: str, asked: dict[str, Any], taken: dict[str, Any] | None
) -> None:
    config = forwarded(ask(Format.MESSAGES, **asked), Format.GENERATE, model).get("generationConfig", {})
    thinking = config.get("thinkingConfig")
    assert thinking is taken or {name: thinking[name] for name in taken or {}} == taken


def test_models_that_call_tools_in_chat_only_without_thinking_are_told_so() -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    for model, effort in (
        ("gpt-6-sol", "none"),
        ("gpt-5.4", "none"),
        ("gpt-5.1", "high"),
        ("openai/gpt-6-sol", "high"),
    ):
        asked = ask(Format.MESSAGES, tools=tools, output_config={"effort": "high"}, **THINKS)
        assert forwarded(asked, Format.CHAT, model)["reasoning_effort"] == effort
    assert forwarded(ask(Format.MESSAGES, tools=tools), Format.CHAT, "gpt-6-sol")["reasoning_effort"] == "none"


def test_efforts_that_came_later_do_not_reach_earlier_models_of_claude() -> None:
    asked = ask(Format.CHAT, reasoning_effort="xhigh", max_tokens=32_000)
    assert forwarded(asked, Format.MESSAGES, "claude-opus-4-6")["output_config"] == {"effort": "max"}
    assert forwarded(asked, Format.MESSAGES, "claude-opus-4-7")["output_config"] == {"effort": "xhigh"}
    assert "thinking" not in forwarded(asked, Format.MESSAGES, "claude-3-5-haiku-20241022")


def test_who_wants_thoughts_from_messages_gets_summaries_from_responses() -> None:
    asked = ask(Format.MESSAGES, thinking={"type": "enabled", "budget_tokens": 2048})
    document = forwarded(asked, Format.RESPONSES)
    assert document["reasoning"] == {"effort": "low", "summary": "auto"}
    assert document["include"] == ["reasoning.encrypted_content"]
    assert document["store"] is False


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_signed_reasoning_goes_back_to_its_upstream_through_any_client(client: Format, upstream: Format) -> None:
    thought = ReasoningBlock(text="hm", origin=upstream.value, signature="" if upstream is Format.CHAT else "c2lnbmVk")
    history = history_of(client, seal(thought))
    text = json.dumps(forwarded(ask(client, **history), upstream, "gemini-3-pro"))
    assert MARK not in text
    assert ("hm" if upstream is Format.CHAT else "c2lnbmVk") in text
    others = [other for other in FORMATS if other not in (client, upstream)]
    for other in others:
        assert "c2lnbmVk" not in json.dumps(forwarded(ask(client, **history), other, "gemini-3-pro"))


@pytest.mark.parametrize("client", FORMATS)
def test_what_was_sealed_for_another_upstream_is_taken_out_when_the_format_is_the_same(client: Format) -> None:
    asked = ask(client, **history_of(client, seal(ReasoningBlock(text="hm", origin="elsewhere", signature="c2ln"))))
    assert MARK.encode() in asked.body
    document = forwarded(asked, client)
    assert MARK not in json.dumps(document)
    assert "call_1" in json.dumps(document)
    assert "done" in json.dumps(document)


SEALED = seal(ReasoningBlock(text="hm", origin="elsewhere", signature="c2ln"))
TURNS: list[tuple[Format, str, dict[str, Any]]] = [
    (
        Format.MESSAGES,
        "messages",
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": SEALED}]},
    ),
    (
        Format.GENERATE,
        "contents",
        {"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": SEALED}]},
    ),
]


@pytest.mark.parametrize(("client", "member", "turn"), TURNS, ids=lambda value: value if isinstance(value, str) else "")
def test_no_empty_turn_is_left_of_one_that_was_sealed_for_another_upstream(
    client: Format, member: str, turn: dict[str, Any]
) -> None:
    [said] = PROMPTS[client][member]
    conversation: dict[str, Any] = {member: [said, turn, said]}
    assert forwarded(ask(client, **conversation), client)[member] == [said, said]


def test_no_member_of_other_servers_is_left_of_what_was_sealed_for_another_upstream() -> None:
    messages = history_of(Format.CHAT, SEALED)["messages"]
    assert "reasoning_details" not in forwarded(ask(Format.CHAT, messages=messages), Format.CHAT)["messages"][1]


def history_of(client: Format, sealed: str) -> dict[str, Any]:
    """Return a conversation as a client sends it back: the model thought, and then called a tool."""
    if client is Format.CHAT:
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        details = [{"type": "reasoning.encrypted", "data": sealed}]
        answer = {"role": "assistant", "content": None, "reasoning_details": details, "tool_calls": [call]}
        return {"messages": [*USER, answer, {"role": "tool", "tool_call_id": "call_1", "content": "done"}]}
    if client is Format.MESSAGES:
        use = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
        answer = {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": sealed}, use]}
        result = {"type": "tool_result", "tool_use_id": "call_1", "content": "done"}
        return {"messages": [*USER, answer, {"role": "user", "content": [result]}]}
    if client is Format.RESPONSES:
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
        call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
        return {"input": [*USER, reasoning, call, output]}
    part = {"functionCall": {"id": "call_1", "name": "f", "args": {}}, "thoughtSignature": sealed}
    response = {"functionResponse": {"id": "call_1", "name": "f", "response": {"output": "done"}}}
    contents = [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": [part]}]
    return {"contents": [*contents, {"role": "user", "parts": [response]}]}


def test_thinking_is_left_out_where_anthropic_would_miss_the_thoughts_of_the_last_call() -> None:
    asked = ask(Format.CHAT, reasoning_effort="high", max_tokens=32_000, **without_thoughts())
    assert "thinking" not in forwarded(asked, Format.MESSAGES)
    # An adaptive model misses none, and a change of its thinking would lose the prompt cache.
    assert forwarded(asked, Format.MESSAGES, "claude-sonnet-4-6")["thinking"]["type"] == "adaptive"


def without_thoughts() -> dict[str, Any]:
    """Return the history of a client that does not send thoughts back."""
    history = history_of(Format.CHAT, "")
    del history["messages"][1]["reasoning_details"]
    return history


@pytest.mark.parametrize("said", ["", "Fine."])
def test_reasoning_that_nothing_follows_is_left_out_of_responses(said: str) -> None:
    sealed = seal(ReasoningBlock(text="hm", origin="responses", signature="c2ln"))
    content = [{"type": "thinking", "thinking": "", "signature": sealed}, {"type": "text", "text": said}]
    messages = [*USER, {"role": "assistant", "content": content}, *USER]
    items = forwarded(ask(Format.MESSAGES, messages=messages), Format.RESPONSES)["input"]
    assert [item["type"] for item in items] == ["message", *(["reasoning", "message"] if said else []), "message"]


def test_an_answer_of_foreign_thoughts_alone_is_no_message_of_chat() -> None:
    sealed = seal(ReasoningBlock(text="hm", origin="responses", signature="c2ln"))
    answer = {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": sealed}]}
    messages = forwarded(ask(Format.MESSAGES, messages=[*USER, answer, *USER]), Format.CHAT)["messages"]
    assert [message["role"] for message in messages] == ["user", "user"]


def test_reasoning_of_compatible_servers_goes_back_to_them() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": seal(ReasoningBlock(text="hm", origin="chat"))}
    messages = [*USER, {"role": "assistant", "content": [thought, {"type": "text", "text": "x"}]}, *USER]
    document = forwarded(ask(Format.MESSAGES, messages=messages), Format.CHAT)
    assert document["messages"][1] == {"role": "assistant", "content": "x", "reasoning_content": "hm"}
