"""Tools, calls and results keep their meaning in every other format."""

from __future__ import annotations

import json

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.models import ModelRequest, TextBlock, ToolCall, ToolResult, Turn
from tests.unit.gateway.formats.speaking import USER, as_asked, ask, forwarded

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PNG = "iVBORw0KGgo="


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


def test_tools_of_messages_reach_chat_in_the_right_shape() -> None:
    tool = {"name": "f", "description": "d", "input_schema": TOOL}
    document = forwarded(ask(Format.MESSAGES, tools=[tool], tool_choice={"type": "any"}), Format.CHAT)
    assert document["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": TOOL}}
    ]
    assert document["tool_choice"] == "required"


def test_arguments_that_are_not_json_do_not_end_the_conversation() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "Par'}}
    messages = [
        *USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "bad"},
    ]
    document = forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)
    assert document["messages"][1]["content"][0]["input"] == {"invalid_json": '{"city": "Par'}


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
