"""Prompt caches survive the gateway: sessions of 50 calls are read from caches as a direct session is."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import forward_request, read_request
from opencode_cloud.gateway.formats.models import PathTarget
from tests.unit.gateway.formats.sessions import CALLS, Cache, session
from tests.unit.gateway.formats.speaking import FORMATS, ask, forwarded

MODELS = {
    Format.CHAT: "gpt-5.4",
    Format.MESSAGES: "claude-sonnet-5",
    Format.RESPONSES: "gpt-5.4",
    Format.GENERATE: "gemini-3-pro",
}


def sent(client: Format, upstream: Format, document: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the request that the upstream gets."""
    target = PathTarget("m", stream=True) if client is Format.GENERATE else None
    parsed = read_request(client, json.dumps(document).encode(), target)
    return json.loads(forward_request(parsed, upstream, model, "id_{}".format, most_output=32_000).body)


@cache
def direct(upstream: Format) -> float:
    """Return the hit rate of a client of the upstream's own format, without the gateway."""
    found = Cache(upstream)
    for document in session(upstream, upstream):
        found.take(document)
    return found.hit_rate


@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
def test_a_session_is_read_from_the_cache_as_a_direct_one_is(client: Format, upstream: Format) -> None:
    found = Cache(upstream)
    calls = [found.take(sent(client, upstream, document, MODELS[upstream])) for document in session(client, upstream)]
    assert len(calls) == CALLS
    assert direct(upstream) > 0.9
    assert found.hit_rate >= 0.995 * direct(upstream)


def marked(document: dict[str, Any]) -> list[str]:
    """Return the texts of the blocks with a cache mark, in the order of the prompt."""
    blocks = [*document.get("tools", ()), *document.get("system", ())]
    blocks += [block for message in document["messages"] for block in message["content"]]
    return [block.get("text") or block.get("name") or block["type"] for block in blocks if "cache_control" in block]


TURNS = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
    {"role": "assistant", "content": "four"},
    {"role": "user", "content": "five"},
]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
FORCED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"messages": TURNS}, ["three", "five"]),
        ({"messages": [{"role": "system", "content": "be"}, *TURNS]}, ["be", "three", "five"]),
        ({"messages": TURNS[:1], "tools": [FUNCTION]}, ["f", "one"]),
        ({"messages": TURNS[:1], "prompt_cache_key": "s-1"}, ["one"]),
        ({"messages": TURNS[:1]}, []),
        ({"messages": TURNS[:1], "tools": [FUNCTION], "tool_choice": FORCED}, []),
        ({"messages": TURNS[:1], "tools": [FUNCTION], "tool_choice": "required"}, []),
        ({"messages": [*TURNS, {"role": "user", "content": " "}]}, ["five"]),
    ],
    ids=["conversation", "system", "agent", "key", "single", "forced", "required", "blank"],
)
def test_a_prompt_that_is_repeated_gets_marks_where_the_upstream_caches_by_marks_only(
    members: dict[str, Any], expected: list[str]
) -> None:
    assert marked(forwarded(ask(Format.CHAT, **members), Format.MESSAGES)) == expected


def test_the_clients_own_marks_are_the_only_ones() -> None:
    mark = {"type": "text", "text": "be", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    document = forwarded(ask(Format.CHAT, messages=[{"role": "system", "content": [mark]}, *TURNS]), Format.MESSAGES)
    assert marked(document) == ["be"]
    assert document["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize("upstream", [Format.RESPONSES, Format.GENERATE, Format.CHAT])
def test_upstreams_that_cache_by_themselves_get_no_marks(upstream: Format) -> None:
    asked = ask(Format.MESSAGES, messages=TURNS, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    assert "cache_control" not in json.dumps(forwarded(asked, upstream))


@pytest.mark.parametrize("upstream", [Format.MESSAGES, Format.GENERATE])
def test_a_reminder_in_the_middle_leaves_the_beginning_of_the_prompt_as_it_was(upstream: Format) -> None:
    first = [{"role": "system", "content": "S"}, TURNS[0], {"role": "developer", "content": "at the beginning"}]
    later = [*TURNS[1:3], {"role": "system", "content": "in the middle"}, *TURNS[3:]]
    before = forwarded(ask(Format.CHAT, messages=first), upstream)
    after = forwarded(ask(Format.CHAT, messages=[*first, *later]), upstream)
    name = "system" if upstream is Format.MESSAGES else "systemInstruction"
    texts = json.dumps(after[name])
    assert "at the beginning" in texts
    assert "in the middle" not in texts
    assert [text["text"] for text in _texts(before[name])] == [text["text"] for text in _texts(after[name])]
    turn = json.dumps(after["messages" if upstream is Format.MESSAGES else "contents"][2])
    assert "three" in turn
    assert "<system-reminder>\\nin the middle\\n</system-reminder>" in turn


def _texts(system: Any) -> list[dict[str, Any]]:
    return system["parts"] if isinstance(system, dict) else system


MARK = {"cache_control": {"type": "ephemeral"}}
MARKED: dict[str, Any] = {
    "system": [{"type": "text", "text": "S", **MARK}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "one", **MARK}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "done", **MARK}]},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}, **MARK}],
}


def test_marks_reach_a_server_of_chat_that_takes_them() -> None:
    asked = ask(Format.MESSAGES, **MARKED)
    taking = json.loads(forward_request(asked, Format.CHAT, "anthropic/claude-sonnet-5", str, cache_marks=True).body)
    system, user, _, tool = taking["messages"]
    assert system["content"] == [{"type": "text", "text": "S", **MARK}]
    assert user["content"] == [{"type": "text", "text": "one", **MARK}]
    assert tool["content"] == [{"type": "text", "text": "done", **MARK}]
    assert taking["tools"][0]["cache_control"] == MARK["cache_control"]
    other = forwarded(asked, Format.CHAT, "anthropic/claude-sonnet-5")
    assert "cache_control" not in json.dumps(other)
    assert [message["content"] for message in other["messages"]] == ["S", "one", None, "done"]


@pytest.mark.parametrize(("model", "gets_marks"), [("anthropic/claude-sonnet-5", True), ("z-ai/glm-5.2", False)])
def test_a_server_of_chat_that_takes_marks_gets_own_ones_for_claude_only(model: str, gets_marks: bool) -> None:
    contents = [{"role": "user", "parts": [{"text": "one"}]}, {"role": "model", "parts": [{"text": "two"}]}]
    asked = ask(Format.GENERATE, contents=[*contents, {"role": "user", "parts": [{"text": "three"}]}])
    body = forward_request(asked, Format.CHAT, model, str, cache_marks=True).body
    assert (b"cache_control" in body) is gets_marks


MARK = {"cache_control": {"type": "ephemeral"}}


def test_a_mark_of_a_whole_message_is_one_of_its_last_part() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    text = [{"type": "text", "text": "x"}]
    messages = [
        {"role": "user", "content": text, **MARK},
        {"role": "assistant", "content": None, "tool_calls": [call], **MARK},
        {"role": "tool", "tool_call_id": "c", "content": text, **MARK},
    ]
    turns = forwarded(ask(Format.CHAT, messages=messages, tools=[tool]), Format.MESSAGES)["messages"]
    assert [json.dumps(turn).count("cache_control") for turn in turns] == [1, 1, 1]
    assert turns[1]["content"][-1]["type"] == "tool_use"


def test_the_mark_of_a_whole_request_reaches_servers_that_take_marks() -> None:
    members: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], **MARK}
    asked = ask(Format.MESSAGES, **members)
    body = json.loads(forward_request(asked, Format.CHAT, "m", str, cache_marks=True).body)
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi", **MARK}]
    assert "cache_control" not in json.dumps(forwarded(asked, Format.CHAT))
