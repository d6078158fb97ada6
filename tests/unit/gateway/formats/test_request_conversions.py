"""Requests are converted to every other format with their meaning, or refused with the name of the member."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import InvalidRequest, conversions
from opencode_cloud.gateway.formats.models import (
    FileBlock,
    ImageBlock,
    ModelRequest,
    ReasoningBlock,
    TextBlock,
    ToolCall,
    ToolResult,
    Turn,
)
from opencode_cloud.gateway.formats.sealing import MARK, seal
from tests.unit.gateway.formats.speaking import FORMATS, PAIRS, ask, forwarded, meaning, requests, understood

USER = [{"role": "user", "content": "Weather?"}]
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PNG = "iVBORw0KGgo="


def as_asked(format_: Format, request: ModelRequest) -> Any:
    """Return a request as a client of a format would have sent it."""
    return ask(format_, **conversions.write_request(format_, request, "public-model"))


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(request=requests())
@settings(max_examples=25)
def test_a_request_keeps_its_meaning(client: Format, upstream: Format, request: ModelRequest) -> None:
    document = forwarded(as_asked(client, request), upstream)
    assert meaning(understood(upstream, document)) == meaning(request)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(request=requests())
@settings(max_examples=10)
def test_a_request_comes_back_as_it_was(client: Format, upstream: Format, request: ModelRequest) -> None:
    there = understood(upstream, forwarded(as_asked(client, request), upstream))
    back = forwarded(as_asked(upstream, there), client)
    assert meaning(understood(client, back)) == meaning(request)


# ----------------------------------------------------------------------- what upstream's gateway gets wrong


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.RESPONSES, Format.GENERATE])
def test_plain_strings_of_messages_are_not_dropped(upstream: Format) -> None:
    asked = ask(
        Format.MESSAGES,
        system="Be brief.",
        messages=[
            {"role": "user", "content": "plain question"},
            {"role": "assistant", "content": "plain answer"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "plain result"}]},
        ],
    )
    text = json.dumps(forwarded(asked, upstream))
    for plain in ("Be brief.", "plain question", "plain answer", "plain result"):
        assert plain in text


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.MESSAGES])
def test_calls_of_responses_are_known_by_their_call_id_not_by_the_items_id(upstream: Format) -> None:
    items = [
        {"role": "user", "content": "go"},
        {"type": "function_call", "id": "fc_item", "call_id": "call_right", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "id": "fco_item", "call_id": "call_right", "output": "done"},
    ]
    text = json.dumps(forwarded(ask(Format.RESPONSES, input=items), upstream))
    assert text.count("call_right") == 2
    assert "fc_item" not in text
    assert "fco_item" not in text


@pytest.mark.parametrize("client", [Format.CHAT, Format.MESSAGES, Format.GENERATE])
def test_no_effort_verbosity_or_temperature_is_forced_on_responses(client: Format) -> None:
    document = forwarded(ask(client), Format.RESPONSES)
    assert "reasoning" not in document
    assert "text" not in document
    assert "temperature" not in document


def test_temperature_reaches_responses() -> None:
    assert forwarded(ask(Format.CHAT, temperature=0.3), Format.RESPONSES)["temperature"] == 0.3


def test_tools_of_messages_reach_chat_in_the_right_shape() -> None:
    tool = {"name": "f", "description": "d", "input_schema": TOOL}
    document = forwarded(ask(Format.MESSAGES, tools=[tool], tool_choice={"type": "any"}), Format.CHAT)
    assert document["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": TOOL}}
    ]
    assert document["tool_choice"] == "required"


def test_no_cache_marks_are_made_up_and_given_ones_are_kept() -> None:
    assert "cache_control" not in json.dumps(forwarded(ask(Format.CHAT), Format.MESSAGES))
    marked = [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    request = understood(Format.MESSAGES, ask(Format.MESSAGES, system=marked).document)
    assert request.system == (TextBlock("long", cache="1h"),)
    written = conversions.write_request(Format.MESSAGES, request, "m")
    assert written["system"] == marked


def test_arguments_that_are_not_json_do_not_end_the_conversation() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "Par'}}
    messages = [
        *USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "bad"},
    ]
    document = forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)
    assert document["messages"][1]["content"][0]["input"] == {"invalid_json": '{"city": "Par'}


# --------------------------------------------------------------------------------------- tools and results


def test_results_of_parallel_calls_stand_together_and_first_for_messages() -> None:
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)]
    messages = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "user", "content": "and now?"},
    ]
    document = forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)
    assert [message["role"] for message in document["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in document["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]


def test_calls_of_generate_get_stable_ids_and_results_are_matched_by_name_and_order() -> None:
    contents = [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [{"functionCall": {"name": n, "args": {}}} for n in ("f", "f", "g")]},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "g", "response": {"output": "of g"}}},
                {"functionResponse": {"name": "f", "response": {"output": "first of f"}}},
                {"functionResponse": {"name": "f", "response": {"output": "second of f"}}},
            ],
        },
    ]
    document = forwarded(ask(Format.GENERATE, contents=contents), Format.CHAT)
    ids = [call["id"] for call in document["messages"][1]["tool_calls"]]
    results = {message["tool_call_id"]: message["content"] for message in document["messages"][2:]}
    assert results == {ids[0]: "first of f", ids[1]: "second of f", ids[2]: "of g"}
    later = [*contents, {"role": "model", "parts": [{"text": "done"}]}, {"role": "user", "parts": [{"text": "thanks"}]}]
    again = forwarded(ask(Format.GENERATE, contents=later), Format.CHAT)
    assert [call["id"] for call in again["messages"][1]["tool_calls"]] == ids


def test_results_reach_generate_with_the_name_of_what_was_called() -> None:
    messages = [
        *USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get", "input": {}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "boom", "is_error": True}],
        },
    ]
    document = forwarded(ask(Format.MESSAGES, messages=messages), Format.GENERATE, "gemini-3-pro")
    response = document["contents"][2]["parts"][0]["functionResponse"]
    assert response == {"id": "t1", "name": "get", "response": {"error": "boom"}}
    call = document["contents"][1]["parts"][0]
    assert call["thoughtSignature"] == "skip_thought_signature_validator"
    earlier = forwarded(ask(Format.MESSAGES, messages=messages), Format.GENERATE, "gemini-2.5-flash")
    assert "thoughtSignature" not in json.dumps(earlier)
    assert "t1" not in json.dumps(earlier)


def test_ids_that_an_upstream_refuses_are_replaced_alike_in_call_and_result() -> None:
    call = {"id": "functions.bash:0", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    messages = [
        *USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "functions.bash:0", "content": "ok"},
    ]
    document = forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)
    use, result = document["messages"][1]["content"][0], document["messages"][2]["content"][0]
    assert use["id"] == result["tool_use_id"]
    assert use["id"].replace("_", "").isalnum()


def test_pictures_of_a_tool_reach_every_upstream() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "see"}, picture]}
    messages = [
        *USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "shot", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    asked = ask(Format.MESSAGES, messages=messages)
    chat = forwarded(asked, Format.CHAT)["messages"]
    assert chat[2] == {"role": "tool", "tool_call_id": "t", "content": "see"}
    assert chat[3]["content"][0]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    output = forwarded(asked, Format.RESPONSES)["input"][2]["output"]
    assert output[1]["image_url"] == f"data:image/png;base64,{PNG}"
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    later = forwarded(asked, Format.GENERATE, "gemini-3-pro")["contents"][2]["parts"]
    assert later[0]["functionResponse"]["parts"] == [inline]
    earlier = forwarded(asked, Format.GENERATE, "gemini-2.5-pro")["contents"][2]["parts"]
    assert earlier[1] == inline


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.RESPONSES])
def test_a_failed_tool_is_told_in_words_where_there_is_no_mark(upstream: Format) -> None:
    request = ModelRequest(
        messages=(
            Turn("user", (TextBlock("go"),)),
            Turn("assistant", (ToolCall(id="c", name="f"),)),
            Turn("user", (ToolResult(id="c", content=(TextBlock("no such file"),), error=True),)),
        )
    )
    assert "Error: no such file" in json.dumps(forwarded(as_asked(Format.MESSAGES, request), upstream))


def test_strictness_of_tools_is_never_on_by_omission() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": TOOL}}
    assert forwarded(ask(Format.CHAT, tools=[tool]), Format.RESPONSES)["tools"][0]["strict"] is False


def test_a_schema_in_googles_dialect_becomes_json_schema() -> None:
    parameters = {
        "type": "OBJECT",
        "properties": {"n": {"type": "INTEGER", "nullable": True}, "type": {"type": "STRING", "enum": ["A"]}},
        "propertyOrdering": ["n"],
        "required": ["n"],
    }
    tools = [{"functionDeclarations": [{"name": "f", "parameters": parameters}]}]
    written = forwarded(ask(Format.GENERATE, tools=tools), Format.CHAT)["tools"][0]["function"]["parameters"]
    assert written == {
        "type": "object",
        "properties": {"n": {"type": ["integer", "null"]}, "type": {"type": "string", "enum": ["A"]}},
        "required": ["n"],
    }


# ------------------------------------------------------------------------------------------------ reasoning


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


def test_a_budget_stays_below_the_limit_of_the_answer() -> None:
    asked = ask(Format.CHAT, reasoning_effort="high", max_tokens=2000)
    assert forwarded(asked, Format.MESSAGES)["thinking"]["budget_tokens"] == 1999
    assert "thinking" not in forwarded(ask(Format.CHAT, reasoning_effort="high", max_tokens=500), Format.MESSAGES)


@pytest.mark.parametrize(("limit", "least"), [(7, 16), (700, 700)])
def test_the_limit_of_an_answer_is_raised_only_to_the_least_of_the_format(limit: int, least: int) -> None:
    for client in FORMATS:
        request = understood(client, ask(client).document)
        request = msgspec.structs.replace(request, max_output=limit)
        for upstream in FORMATS:
            document = forwarded(as_asked(client, request), upstream)
            raised = upstream is Format.RESPONSES and client is not upstream
            assert understood(upstream, document).max_output == (least if raised else limit)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gemini-2.5-pro", {"thinkingBudget": 4096}), ("gemini-3-flash", {"thinkingLevel": "LOW"})],
)
def test_effort_reaches_each_generation_of_gemini_in_its_way(model: str, expected: dict[str, Any]) -> None:
    document = forwarded(ask(Format.CHAT, reasoning_effort="low"), Format.GENERATE, model)
    assert document["generationConfig"]["thinkingConfig"] == expected


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


def without_thoughts() -> dict[str, Any]:
    """Return the history of a client that does not send thoughts back."""
    history = history_of(Format.CHAT, "")
    del history["messages"][1]["reasoning_details"]
    return history


def test_reasoning_of_compatible_servers_goes_back_to_them() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": seal(ReasoningBlock(text="hm", origin="chat"))}
    messages = [*USER, {"role": "assistant", "content": [thought, {"type": "text", "text": "x"}]}, *USER]
    document = forwarded(ask(Format.MESSAGES, messages=messages), Format.CHAT)
    assert document["messages"][1] == {"role": "assistant", "content": "x", "reasoning_content": "hm"}


# --------------------------------------------------------------------------------------- limits, media, names


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "max_tokens"),
        ("kimi-k3", "max_tokens"),
        ("gpt-5.4", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("openai/gpt-5.4-nano", "max_completion_tokens"),
    ],
)
def test_the_limit_is_called_what_the_model_takes(model: str, name: str) -> None:
    assert forwarded(ask(Format.MESSAGES), Format.CHAT, model)[name] == 4096


def test_messages_always_names_a_limit() -> None:
    assert forwarded(ask(Format.CHAT), Format.MESSAGES)["max_tokens"] == 32_000


def test_a_stream_of_chat_is_asked_for_its_usage() -> None:
    document = forwarded(ask(Format.MESSAGES, stream=True), Format.CHAT)
    assert document["stream"] is True
    assert document["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_documents_and_remote_pictures_are_carried(client: Format, upstream: Format) -> None:
    pdf = FileBlock(media_type="application/pdf", data="JVBERi0=", name="a.pdf")
    photo = ImageBlock(url="https://example.com/a.png", media_type="image/png" if client is Format.GENERATE else "")
    request = ModelRequest(messages=(Turn("user", (TextBlock("read"), pdf, photo)),))
    text = json.dumps(forwarded(as_asked(client, request), upstream))
    assert "JVBERi0=" in text
    assert "https://example.com/a.png" in text


def test_blank_texts_that_anthropic_refuses_are_left_out() -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": " "},
        {"role": "user", "content": "y"},
    ]
    document = forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)
    assert [message["role"] for message in document["messages"]] == ["user", "user"]


def test_messages_of_the_system_within_a_conversation_are_not_lost() -> None:
    messages = [*USER, {"role": "assistant", "content": "Fine."}, {"role": "system", "content": "Be rude."}, *USER]
    asked = ask(Format.CHAT, messages=messages)
    assert forwarded(asked, Format.MESSAGES)["system"] == [{"type": "text", "text": "Be rude."}]
    assert forwarded(asked, Format.GENERATE)["systemInstruction"] == {"parts": [{"text": "Be rude."}]}
    assert forwarded(asked, Format.RESPONSES)["input"][2]["role"] == "developer"


# ------------------------------------------------------------------------------------------------- refusals


BASH = {"type": "bash_20250124", "name": "bash"}
REFUSED: list[tuple[Format, Format, dict[str, Any], str]] = [
    (Format.CHAT, Format.MESSAGES, {"n": 2}, "More than one answer"),
    (Format.CHAT, Format.MESSAGES, {"logprobs": True}, "logprobs"),
    (Format.CHAT, Format.MESSAGES, {"logit_bias": {"1": 5}}, "logit_bias"),
    (Format.CHAT, Format.MESSAGES, {"tool_choice": "required"}, "tool_choice"),
    (Format.RESPONSES, Format.CHAT, {"previous_response_id": "resp_1"}, "previous_response_id"),
    (Format.MESSAGES, Format.CHAT, {"tools": [BASH], "tool_choice": {"type": "tool", "name": "bash"}}, "`bash`"),
    (Format.MESSAGES, Format.CHAT, {"tools": [BASH], "tool_choice": {"type": "any"}}, "forces a tool call"),
    (Format.GENERATE, Format.CHAT, {"cachedContent": "c/1"}, "cachedContent"),
    (Format.GENERATE, Format.CHAT, {"generationConfig": {"speechConfig": {"voice": 1}}}, "speechConfig"),
    (Format.GENERATE, Format.CHAT, {"generation_config": {"response_logprobs": True}}, "response_logprobs"),
    (Format.GENERATE, Format.CHAT, {"generationConfig": {"candidateCount": 2}}, "More than one answer"),
    (Format.GENERATE, Format.CHAT, {"generationConfig": {"responseMimeType": "text/x.enum"}}, "text/x.enum"),
]


@pytest.mark.parametrize(("client", "upstream", "members", "named"), REFUSED)
def test_what_cannot_be_carried_over_is_refused_by_name(
    client: Format, upstream: Format, members: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        forwarded(ask(client, **members), upstream)
    assert named in refused.value.message
    assert refused.value.code == "invalid_request"


def test_sound_cannot_be_carried_to_messages() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    asked = ask(Format.CHAT, messages=[{"role": "user", "content": [part]}])
    assert "audio/wav" in json.dumps(forwarded(asked, Format.GENERATE))
    with pytest.raises(InvalidRequest, match="audio/wav"):
        forwarded(asked, Format.MESSAGES)
