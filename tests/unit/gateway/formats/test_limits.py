"""Limits of the target format: an upstream gets a value that it takes, and the client gets its own back."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import (
    WIRE_FORMATS,
    InvalidRequest,
    forward_request,
    least_output,
    read_request,
    relay_answer,
    relay_stream,
)
from opencode_cloud.gateway.formats.limits import CONTINUING, FREE_JSON, OPENING, name_within, user_within
from opencode_cloud.gateway.formats.models import Emulation, Stop
from tests.unit.gateway.formats.speaking import FORMATS, ask, encode, forwarded, said

LONG = "mcp__" + "a_server_with_a_long_name_" * 4 + "read"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "f", "input_schema": SCHEMA}
WIRES = list(WIRE_FORMATS.values())
HI = {"role": "user", "content": "Hi"}


def function(name: str, schema: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema or SCHEMA}}


def chat_call(name: str, arguments: str = "{}", index: int = 0) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": f"call_{index}", "type": "function", "function": function}


def chat_answer(message: dict[str, Any], reason: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return encode({"choices": [choice]})


def chat_stream(*deltas: dict[str, Any]) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


# ------------------------------------------------------------------------------------------------ users


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@given(user=st.text(max_size=600) | st.emails())
def test_every_user_fits_and_is_the_same_each_time(wire: Any, user: str) -> None:
    fitting = user_within(user, wire.limits)
    assert len(fitting) <= wire.limits.longest_user
    assert wire.limits.address_as_user or "@" not in fitting
    assert fitting == user_within(user, wire.limits) == user_within(fitting, wire.limits)


def test_users_reach_each_vendor_in_a_form_that_it_takes() -> None:
    body = forwarded(ask(Format.MESSAGES, metadata={"user_id": "u" * 200}), Format.CHAT)
    assert len(body["user"]) <= 64
    body = forwarded(ask(Format.CHAT, user="ann@example.com"), Format.MESSAGES)
    assert "example" not in json.dumps(body)


# ------------------------------------------------------------------------------------------------ limits of answers


def test_a_limit_below_the_least_of_responses_is_raised_and_counted() -> None:
    assert forwarded(ask(Format.MESSAGES, max_tokens=1), Format.RESPONSES)["max_output_tokens"] == 16
    assert forwarded(ask(Format.RESPONSES, max_output_tokens=1), Format.RESPONSES)["max_output_tokens"] == 1
    assert least_output(Format.MESSAGES, Format.RESPONSES) == 16
    assert least_output(Format.RESPONSES, Format.RESPONSES) == 1


CLOSED: dict[str, Any] = {**SCHEMA, "required": ["city"], "additionalProperties": False}


@pytest.mark.parametrize("target", [Format.CHAT, Format.RESPONSES])
@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "properties": {"city": CLOSED}}, True),
        ({**CLOSED, "properties": {"city": {"type": "array", "items": {"anyOf": [CLOSED, {"type": "null"}]}}}}, True),
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": False}, True),
        ({**CLOSED, "required": []}, False),
        ({**SCHEMA, "required": ["city"]}, False),
        ({**CLOSED, "properties": {"city": SCHEMA}}, False),
        ({**CLOSED, "properties": {"city": {"type": "array", "items": SCHEMA}}}, False),
        ({**CLOSED, "properties": {"city": {"anyOf": [SCHEMA]}}}, False),
        ({**CLOSED, "$defs": {"a": SCHEMA}}, False),
        ({**CLOSED, "properties": {"city": {"type": "string", "not": {"const": "x"}}}}, False),
    ],
)
def test_a_tool_is_strict_where_openai_takes_its_schema(target: Format, schema: dict[str, Any], strict: bool) -> None:
    tool = {"name": "f", "input_schema": schema, "strict": True}
    sent = forward_request(ask(Format.MESSAGES, tools=[tool]), target, "gpt-5", str)
    [written] = json.loads(sent.body)["tools"]
    assert (written.get("function", written)["strict"], sent.dropped) == (strict, () if strict else ("tools.strict",))


def test_a_tool_of_any_schema_is_strict_at_anthropic() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
    assert forwarded(ask(Format.CHAT, tools=[tool]), Format.MESSAGES)["tools"][0]["strict"] is True


# ------------------------------------------------------------------------------------------------ verbosity


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        *((name, True) for name in ("gpt-5", "openai/gpt-5.2", "gpt-6-sol")),
        *((name, False) for name in ("gpt-4.1", "gpt-5-codex", "gpt-5-chat-latest", "o3", "mistral-large", "m")),
    ],
)
def test_a_verbosity_reaches_models_that_take_it(model: str, taken: bool) -> None:
    chat = forward_request(ask(Format.RESPONSES, text={"verbosity": "low"}), Format.CHAT, model, str)
    assert json.loads(chat.body).get("verbosity") == ("low" if taken else None)
    responses = forward_request(ask(Format.CHAT, verbosity="low"), Format.RESPONSES, model, str)
    assert json.loads(responses.body).get("text") == ({"verbosity": "low"} if taken else None)
    assert chat.dropped == responses.dropped == (() if taken else ("verbosity",))


# ------------------------------------------------------------------------------------------------ numbers of tools


def many(count: int) -> list[dict[str, Any]]:
    return [{**TOOL, "name": f"f{n}"} for n in range(count)]


@pytest.mark.parametrize(
    ("target", "model", "most"),
    [
        *((Format.CHAT, model, 128) for model in ("gpt-5", "openai/gpt-4.1", "o3", "chatgpt-4o-latest")),
        (Format.GENERATE, "gemini-3-pro", 512),
    ],
)
def test_more_tools_than_an_upstream_takes_are_refused_with_both_numbers(target: Format, model: str, most: int) -> None:
    body = forwarded(ask(Format.MESSAGES, tools=many(most)), target, model)
    assert len(body["tools"]) == most or len(body["tools"][0]["functionDeclarations"]) == most
    with pytest.raises(InvalidRequest, match=rf"{most + 1} tools.* at most {most}\."):
        forwarded(ask(Format.MESSAGES, tools=many(most + 1)), target, model)


@pytest.mark.parametrize(
    ("target", "model"),
    [
        *((Format.CHAT, model) for model in ("upstream-model", "openai/gpt-oss-120b", "deepseek-chat", "qwen/o-net")),
        (Format.RESPONSES, "gpt-5"),
    ],
)
def test_every_tool_reaches_an_upstream_without_a_known_limit(target: Format, model: str) -> None:
    assert len(forwarded(ask(Format.MESSAGES, tools=many(600)), target, model)["tools"]) == 600


def test_only_different_and_allowed_tools_count() -> None:
    twice = [function(f"f{n % 128}") for n in range(256)]
    assert forwarded(ask(Format.CHAT, tools=twice), Format.GENERATE, "gemini-3-pro")["tools"]
    tools = [{"type": "function", "name": f"f{n}", "parameters": SCHEMA} for n in range(200)]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f0"}]}
    body = forwarded(ask(Format.RESPONSES, tools=tools, tool_choice=choice), Format.CHAT, "gpt-4.1")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f0"]


# ------------------------------------------------------------------------------------------------ schemas


@pytest.mark.parametrize("target", [Format.CHAT, Format.MESSAGES, Format.RESPONSES])
@pytest.mark.parametrize(
    ("given_schema", "properties", "required"),
    [
        ({"type": "object"}, [], None),
        ({}, [], None),
        ({"type": "object", "additionalProperties": False}, [], None),
        (
            {"anyOf": [{"properties": {"a": {}, "b": {}}, "required": ["a"]}, {"properties": {"a": {}}}]},
            ["a", "b"],
            None,
        ),
        ({"oneOf": [{"properties": {"a": {}}, "required": ["a"]}]}, ["a"], ["a"]),
        (
            {"properties": {"a": {}}, "allOf": [{"required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]},
            ["a", "b"],
            ["a", "b"],
        ),
    ],
)
def test_a_schema_is_an_object_with_properties(
    target: Format, given_schema: dict[str, Any], properties: list[str], required: list[str] | None
) -> None:
    tools = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": given_schema}]}]
    tool = forwarded(ask(Format.GENERATE, tools=tools), target)["tools"][0]
    written = tool.get("input_schema") or tool.get("function", tool)["parameters"]
    assert written["type"] == "object"
    assert sorted(written["properties"]) == properties
    assert written.get("required") == required
    assert not {"anyOf", "oneOf", "allOf"} & set(written)


@pytest.mark.parametrize("target", FORMATS)
def test_every_array_in_a_schema_says_what_its_items_are(target: Format) -> None:
    inner = {"type": "object", "properties": {"a": {"type": ["array", "null"]}}, "required": None}
    client_schema = {
        "type": "object",
        "properties": {"list": {"type": "array"}, "in": inner, "or": {"anyOf": [{"type": "array"}, {"type": "null"}]}},
        "required": None,
    }
    client = Format.MESSAGES if target is Format.CHAT else Format.CHAT
    tools = [{"name": "f", "input_schema": client_schema}] if client is Format.MESSAGES else None
    asked = ask(client, tools=tools or [function("f", client_schema)])
    written = json.dumps(forwarded(asked, target))
    if target is not client:
        assert written.count('"items": {}') == 3
        assert "null" not in written.replace('"null"', "")


ANSWER: dict[str, Any] = {
    "type": "OBJECT",
    "properties": {
        "n": {"type": "INTEGER", "minimum": 1, "description": "A count"},
        "list": {"type": "ARRAY", "minItems": 2, "items": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
    },
}


def test_anthropic_gets_schemas_of_answers_that_it_takes() -> None:
    config = {"responseMimeType": "application/json", "responseSchema": ANSWER}
    body = forwarded(ask(Format.GENERATE, generationConfig=config), Format.MESSAGES)
    schema = body["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["n"] == {"type": "integer", "description": "A count\n\n{minimum: 1}"}
    items = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    assert schema["properties"]["list"] == {"type": "array", "items": items, "description": "{minItems: 2}"}


def test_anthropic_gets_schemas_of_strict_tools_that_it_takes() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}
    tool = function("f", schema)
    [plain] = forwarded(ask(Format.CHAT, tools=[tool]), Format.MESSAGES)["tools"]
    assert plain["input_schema"] == schema
    tool["function"]["strict"] = True
    [strict] = forwarded(ask(Format.CHAT, tools=[tool]), Format.MESSAGES)["tools"]
    assert strict["input_schema"]["additionalProperties"] is False
    assert strict["input_schema"]["properties"]["n"] == {"type": "integer", "description": "{maximum: 9}"}


def test_of_two_tools_of_one_name_the_later_counts() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    added = {"type": "additional_tools", "tools": [{**tool, "description": "new"}]}
    asked = ask(Format.RESPONSES, tools=[tool], input=[added, HI])
    [written] = forwarded(asked, Format.MESSAGES)["tools"]
    assert written["description"] == "new"


# ------------------------------------------------------------------------------------------------ names of tools


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@given(name=st.text(min_size=1, max_size=200))
def test_every_name_fits_and_others_stay_distinct(wire: Any, name: str) -> None:
    limits = wire.limits
    fitting = name_within(name, limits)
    assert limits.tool_name.fullmatch(fitting)
    assert len(fitting) <= limits.longest_name
    assert name_within(fitting, limits) == fitting
    assert fitting != name_within(name + "x", limits)


@pytest.mark.parametrize("name", [LONG, "db.query", "größe"])
def test_a_name_is_the_same_in_definition_choice_call_and_comes_back_as_the_clients(name: str) -> None:
    use = {"type": "tool_use", "id": "t", "name": name, "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    asked = ask(
        Format.MESSAGES,
        tools=[{**TOOL, "name": name}],
        tool_choice={"type": "tool", "name": name},
        messages=[HI, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}],
    )
    sent = forward_request(asked, Format.CHAT, "m", str)
    body = json.loads(sent.body)
    short = body["tools"][0]["function"]["name"]
    assert short != name
    assert body["tool_choice"]["function"]["name"] == short
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == short
    whole = relay_answer(asked, Format.CHAT, chat_answer({"tool_calls": [chat_call(short)]}), sent.emulation)
    assert json.loads(whole.body)["content"][0]["name"] == name
    relay = relay_stream(asked, Format.CHAT, sent.emulation)
    streamed = relay.feed(chat_stream({"tool_calls": [chat_call(short)]}))
    assert [block.name for block in said(Format.MESSAGES, streamed).blocks] == [name]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------ stop sequences


STOPS: list[tuple[Format, Format, tuple[str, ...], tuple[str, ...]]] = [
    (Format.CHAT, Format.MESSAGES, ("\n", "END"), ("\n",)),
    (Format.CHAT, Format.RESPONSES, ("END",), ("END",)),
    (Format.MESSAGES, Format.CHAT, ("a", "b", "c", "d", "e"), ("e",)),
    (Format.MESSAGES, Format.GENERATE, ("a", "b", "c", "d", "e", "f"), ("f",)),
]


@pytest.mark.parametrize(("client", "target", "stops", "left"), STOPS)
def test_stop_sequences_that_an_upstream_refuses_are_left_to_the_gateway(
    client: Format, target: Format, stops: tuple[str, ...], left: tuple[str, ...]
) -> None:
    member = "stop" if client is Format.CHAT else "stop_sequences"
    members: dict[str, Any] = {member: list(stops)}
    sent = forward_request(ask(client, **members), target, "m", str)
    assert sent.emulation.stops == left
    body = json.loads(sent.body)
    carried = body.get("stop_sequences") or body.get("stop") or body.get("generationConfig", {}).get("stopSequences")
    assert tuple(carried or ()) == tuple(stop for stop in stops if stop not in left)


@pytest.mark.parametrize("client", [Format.MESSAGES, Format.RESPONSES, Format.GENERATE])
@given(cuts=st.lists(st.integers(0, 60), max_size=5))
def test_a_stop_sequence_ends_an_answer_wherever_the_upstream_cuts_it(client: Format, cuts: list[int]) -> None:
    text = "Begin E EN END more END"
    borders = [0, *sorted({cut % len(text) for cut in cuts}), len(text)]
    pieces = [text[a:b] for a, b in pairwise(borders)]
    emulation = Emulation(stops=("END",))
    relay = relay_stream(ask(client, stream=True), Format.CHAT, emulation)
    out = relay.feed(chat_stream(*({"content": piece} for piece in pieces)))
    reply = said(client, out + relay.end())
    assert "".join(block.text for block in reply.blocks) == "Begin E EN "  # type: ignore[union-attr]
    assert relay.complete
    whole = relay_answer(ask(client), Format.CHAT, chat_answer({"content": text}), emulation)
    assert b"more" not in whole.body
    assert b"Begin E EN " in whole.body


def test_a_client_of_messages_is_told_the_stop_sequence() -> None:
    emulation = Emulation(stops=("END",))
    answer = relay_answer(ask(Format.MESSAGES), Format.CHAT, chat_answer({"content": "a END b"}), emulation)
    document = json.loads(answer.body)
    assert (document["stop_reason"], document["stop_sequence"]) == ("stop_sequence", "END")
    relay = relay_stream(ask(Format.MESSAGES, stream=True), Format.CHAT, emulation)
    reply = said(Format.MESSAGES, relay.feed(chat_stream({"content": "a END b"})))
    assert (reply.stop, reply.stop_sequence) == (Stop.SEQUENCE, "END")


def test_usage_after_a_stop_sequence_is_counted() -> None:
    relay = relay_stream(ask(Format.MESSAGES, stream=True), Format.CHAT, Emulation(stops=("END",)))
    relay.feed(chat_stream({"content": "a END"}))
    assert relay.feed(b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}\n\n') == b""
    assert relay.tokens is not None
    assert relay.tokens.total == 13


def test_text_that_only_begins_like_a_stop_sequence_is_passed_on() -> None:
    relay = relay_stream(ask(Format.MESSAGES, stream=True), Format.CHAT, Emulation(stops=("END",)))
    reply = said(Format.MESSAGES, relay.feed(chat_stream({"content": "The E"}, {"content": "N"})))
    assert [block.text for block in reply.blocks] == ["The EN"]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------ turns


@pytest.mark.parametrize("text", ["Sure: ", "Sure:\n\n", "Sure:\t"])
def test_the_last_turn_of_the_assistant_does_not_end_in_white_space_for_messages(text: str) -> None:
    body = forwarded(ask(Format.CHAT, messages=[HI, {"role": "assistant", "content": text}]), Format.MESSAGES)
    assert body["messages"][-1]["content"] == [{"type": "text", "text": "Sure:"}]
    earlier = forwarded(ask(Format.CHAT, messages=[HI, {"role": "assistant", "content": text}, HI]), Format.MESSAGES)
    assert earlier["messages"][1]["content"][0]["text"] == text


@pytest.mark.parametrize("target", [Format.MESSAGES, Format.GENERATE])
def test_a_conversation_that_the_assistant_begins_gets_a_first_turn_of_the_user(target: Format) -> None:
    asked = ask(Format.CHAT, messages=[{"role": "assistant", "content": "Welcome."}, HI])
    body = forwarded(asked, target)
    assert OPENING in json.dumps((body.get("messages") or body["contents"])[0])
    assert len(body.get("messages") or body["contents"]) == 3


@pytest.mark.parametrize(
    ("target", "model", "continued"),
    [
        *((Format.MESSAGES, f"claude-{name}", True) for name in ("opus-4-6", "sonnet-4.7", "opus-5", "mythos-preview")),
        *((Format.MESSAGES, f"claude-{name}", False) for name in ("opus-4-5", "sonnet-4-20250514", "3-7-sonnet")),
        (Format.CHAT, "anthropic/claude-opus-4.6", True),
        (Format.CHAT, "gpt-4.1", False),
    ],
)
def test_a_user_asks_to_continue_where_the_model_does_not_finish_a_turn(
    target: Format, model: str, continued: bool
) -> None:
    turns = [{"role": role, "parts": [{"text": role}]} for role in ("user", "model")]
    last = forwarded(ask(Format.GENERATE, contents=turns), target, model)["messages"][-1]
    assert (CONTINUING in json.dumps(last), last["role"]) == (continued, "user" if continued else "assistant")
    calling = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
    answered = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]}
    body = forwarded(ask(Format.GENERATE, contents=[*turns, turns[0], calling, answered]), target, model)
    assert CONTINUING not in json.dumps(body)


def test_claude_does_not_think_while_it_finishes_a_turn() -> None:
    messages = [HI, {"role": "assistant", "content": "Sure:"}]
    asked = ask(Format.CHAT, messages=messages, reasoning_effort="high")
    assert "thinking" not in forwarded(asked, Format.MESSAGES, "claude-sonnet-4-5")
    assert forwarded(asked, Format.MESSAGES, "claude-opus-4-6")["thinking"]["type"] == "adaptive"


@pytest.mark.parametrize("model", ["o1", "o3-mini", "openai/o4-mini"])
def test_the_o_series_is_not_told_about_several_calls_and_one_at_a_time_is_kept(model: str) -> None:
    asked = ask(Format.MESSAGES, tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    sent = forward_request(asked, Format.CHAT, model, str)
    assert ("parallel_tool_calls" in json.loads(sent.body), sent.emulation.one_call) == (False, True)
    asked = ask(Format.MESSAGES, tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": False})
    sent = forward_request(asked, Format.CHAT, model, str)
    assert ("parallel_tool_calls" in json.loads(sent.body), sent.emulation.one_call) == (False, False)
    assert forwarded(asked, Format.CHAT, "gpt-5")["parallel_tool_calls"] is True


@pytest.mark.parametrize(
    "shape", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}]
)
def test_an_instruction_asks_for_json_beside_tools_where_the_model_takes_one_of_both(shape: dict[str, Any]) -> None:
    asked = ask(Format.CHAT, tools=[function("f")], response_format=shape)
    body = forwarded(asked, Format.GENERATE, "gemini-2.5-pro")
    assert "responseMimeType" not in body.get("generationConfig", {})
    [instruction] = body["systemInstruction"]["parts"]
    assert instruction["text"].startswith(FREE_JSON)
    assert ('"city"' in instruction["text"]) is ("json_schema" in shape)
    kept = [(asked, "gemini-3-pro"), (ask(Format.CHAT, response_format=shape), "gemini-2.5-pro")]
    for each, model in kept:
        body = forwarded(each, Format.GENERATE, model)
        assert (body["generationConfig"]["responseMimeType"], "systemInstruction" in body) == (
            "application/json",
            False,
        )


def test_google_gets_no_empty_text() -> None:
    parts = [{"type": "text", "text": text} for text in ("", "Hi")]
    body = forwarded(ask(Format.CHAT, messages=[{"role": "user", "content": parts}]), Format.GENERATE)
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_a_blank_first_turn_of_the_user_is_none() -> None:
    messages = [{"role": "user", "content": " "}, {"role": "assistant", "content": "Yes?"}, HI]
    assert forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)["messages"][0]["role"] == "user"


@pytest.mark.parametrize(
    "asked",
    [
        ask(Format.CHAT, messages=[{"role": "system", "content": "Greet me"}]),
        ask(Format.RESPONSES, input=[{"role": "developer", "content": "Greet me"}]),
    ],
    ids=lambda asked: asked.format,
)
@pytest.mark.parametrize("target", [Format.MESSAGES, Format.GENERATE])
def test_instructions_alone_are_a_turn_of_the_user(asked: Any, target: Format) -> None:
    body = forwarded(asked, target)
    [turn] = body.get("messages") or body["contents"]
    assert turn["role"] == "user"
    assert "Greet me" in json.dumps(turn)


def test_google_gets_seeds_that_fit_and_no_penalty_of_nothing() -> None:
    config = forwarded(ask(Format.CHAT, seed=2**53 - 1, frequency_penalty=0, presence_penalty=0.0), Format.GENERATE)
    assert config["generationConfig"] == {"seed": 2**31 - 1}


def test_turns_of_the_model_in_a_row_are_one_turn() -> None:
    def parts(*parts: dict[str, Any], role: str = "model") -> dict[str, Any]:
        return {"role": role, "parts": list(parts)}

    calls = [{"functionCall": {"id": name, "name": "f", "args": {}}} for name in "ab"]
    results = [{"functionResponse": {"id": name, "name": "f", "response": {"output": "1"}}} for name in "ab"]
    contents = [parts({"text": "go"}, role="user"), *(parts({"text": text}) for text in ("one ", "two"))]
    contents += [*map(parts, calls), parts(*results, role="user")]
    body = forwarded(ask(Format.GENERATE, contents=contents), Format.CHAT)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool"]
    assert body["messages"][1]["content"] == "one two"
    assert [call["id"] for call in body["messages"][1]["tool_calls"]] == ["a", "b"]


def test_turns_of_the_assistant_in_a_row_are_one_turn_for_chat() -> None:
    uses = [{"type": "tool_use", "id": name, "name": "f", "input": {}} for name in "ab"]
    results = [{"type": "tool_result", "tool_use_id": name, "content": "1"} for name in "ab"]
    messages = [HI, *({"role": "assistant", "content": [use]} for use in uses), {"role": "user", "content": results}]
    body = forwarded(ask(Format.MESSAGES, messages=messages), Format.CHAT)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool"]


def test_text_parts_of_one_answer_of_gemini_are_one_text() -> None:
    candidate = {"content": {"parts": [{"text": "one "}, {"text": "two"}]}, "finishReason": "STOP"}
    answer = relay_answer(ask(Format.MESSAGES), Format.GENERATE, encode({"candidates": [candidate]}))
    assert json.loads(answer.body)["content"] == [{"type": "text", "text": "one two"}]


# ------------------------------------------------------------------------------------------------ tools and JSON


@pytest.mark.parametrize("target", FORMATS)
def test_members_that_need_tools_go_with_them(target: Format) -> None:
    requests: list[tuple[Format, dict[str, Any]]] = [
        (Format.RESPONSES, {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}),
        (Format.CHAT, {"tools": [], "tool_choice": "none", "parallel_tool_calls": False}),
        (Format.MESSAGES, {"tools": [], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        (Format.GENERATE, {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}),
    ]
    for client, members in requests:
        if client is not target:
            body = forwarded(ask(client, **members), target)
            assert not {"tools", "tool_choice", "parallel_tool_calls", "toolConfig"} & set(body)


def test_calls_one_at_a_time_reach_gemini_and_only_the_first_call_comes_back() -> None:
    asked = ask(Format.CHAT, tools=[function("f")], parallel_tool_calls=False)
    sent = forward_request(asked, Format.GENERATE, "gemini-3-pro", str)
    assert sent.emulation.one_call
    parts = [{"functionCall": {"name": name, "args": {}}} for name in ("f", "f")]
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    document = {"candidates": [candidate]}
    whole = json.loads(relay_answer(asked, Format.GENERATE, encode(document), sent.emulation).body)
    assert len(whole["choices"][0]["message"]["tool_calls"]) == 1
    relay = relay_stream(ask(Format.CHAT, stream=True), Format.GENERATE, sent.emulation)
    reply = said(Format.CHAT, relay.feed(b"data: " + encode(document) + b"\n\n") + relay.end())
    assert len(reply.blocks) == 1


def test_json_of_any_form_is_an_instruction_for_messages() -> None:
    asked = ask(Format.CHAT, response_format={"type": "json_object"})
    body = forwarded(asked, Format.MESSAGES)
    assert body["system"] == [{"type": "text", "text": FREE_JSON}]
    assert "output_config" not in body
    assert forwarded(asked, Format.GENERATE)["generationConfig"] == {"responseMimeType": "application/json"}


def test_the_same_format_gets_the_request_as_it_is() -> None:
    members = {"stop": ["\n"] * 6, "user": "ann@example.com", "max_tokens": 1, "tools": [function("db.query", {})]}
    body = encode({"model": "m", "messages": [HI], **members})
    assert json.loads(forward_request(read_request(Format.CHAT, body), Format.CHAT, "m", str).body) == json.loads(body)


# ------------------------------------------------------------------------------------------------ models, marks, order


@pytest.mark.parametrize("target", [Format.CHAT, Format.RESPONSES])
@pytest.mark.parametrize(
    ("model", "plain"),
    [("gpt-5.4", True), ("openai/o3", True), ("gpt-4o", False), ("gpt-5-chat-latest", False), ("kimi-k3", False)],
)
def test_models_that_take_no_settings_of_sampling_get_none(target: Format, model: str, plain: bool) -> None:
    asked = ask(Format.MESSAGES, temperature=0, top_p=0.9, stop_sequences=["END"])
    sent = forward_request(asked, target, model, str)
    body = json.loads(sent.body)
    assert ("temperature" in body) is ("top_p" in body) is not plain
    assert "stop" not in body or not plain
    assert sent.emulation.stops == (("END",) if plain or target is Format.RESPONSES else ())
    assert ("top_p" in sent.dropped) is plain


def test_the_last_cache_marks_stay_where_there_are_too_many() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    texts = [{"type": "text", "text": f"part {number}", **mark} for number in range(6)]
    asked = ask(
        Format.CHAT, messages=[{"role": "system", "content": texts[:2]}, {"role": "user", "content": texts[2:]}]
    )
    body = forwarded(asked, Format.MESSAGES)
    blocks = [*body["system"], *body["messages"][0]["content"]]
    assert [block["text"] for block in blocks if "cache_control" in block] == [
        f"part {number}" for number in range(2, 6)
    ]


@pytest.mark.parametrize("target", [Format.CHAT, Format.RESPONSES])
def test_no_text_of_the_system_separates_calls_from_their_results(target: Format) -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    messages = [
        HI,
        {"role": "assistant", "content": [use]},
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": [result]},
    ]
    body = forwarded(ask(Format.MESSAGES, messages=messages), target)
    kinds = [item.get("role") or item["type"] for item in body.get("messages") or body["input"]]
    assert kinds[1:] in (["assistant", "tool", "system"], ["function_call", "function_call_output", "developer"])
