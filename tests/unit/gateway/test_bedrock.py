"""Bedrock's requests and frames. The test builds the frames by the rules of AWS's event stream encoding."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import UpstreamKind
from opencode_cloud.gateway.store.bedrock import EventStreamDecoder, as_bedrock
from tests.unit.gateway.catalogues import upstream

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "héllo"}},
    {"type": "message_stop"},
]


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", len(packed) + len(payload) + 16, len(packed))
    checked = prelude + struct.pack("!I", binascii.crc32(prelude)) + packed + payload
    return checked + struct.pack("!I", binascii.crc32(checked))


def chunk(event: dict[str, Any]) -> bytes:
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    return frame(
        {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
        json.dumps({"bytes": inner}).encode(),
    )


def events(sent: bytes) -> list[dict[str, Any]]:
    found = [block.split(b"\n") for block in sent.split(b"\n\n") if block]
    assert all(lines[0].startswith(b"event: ") and lines[1].startswith(b"data: ") for lines in found)
    decoded = [json.loads(lines[1][6:]) for lines in found]
    assert [lines[0][7:].decode() for lines in found] == [event["type"] for event in decoded]
    return decoded


@given(st.data())
def test_frames_become_the_events_that_they_hold_wherever_they_are_cut(data: st.DataObject) -> None:
    whole = b"".join(map(chunk, EVENTS))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    decoder = EventStreamDecoder()
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert events(b"".join(map(decoder.feed, parts))) == EVENTS


def test_an_exception_frame_becomes_an_error_event() -> None:
    sent = EventStreamDecoder().feed(
        frame(
            {":exception-type": "throttlingException", ":message-type": "exception"}, b'{"message":"Too many tokens"}'
        )
    )
    [error] = events(sent)
    assert error["error"]["type"] == "throttlingException"
    assert "Too many tokens" in error["error"]["message"]


def test_what_is_no_frame_is_passed_on_for_the_relay_to_refuse() -> None:
    assert EventStreamDecoder().feed(b"<html>no frame at all</html>" * 4).startswith(b"<html>")


BEDROCK = upstream(UpstreamKind.BEDROCK)


def test_a_request_loses_model_and_stream_and_says_its_version() -> None:
    body = b'{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"\\u00e9 1e2"}]}'
    sent = as_bedrock(body, "effort-2025-11-24, claude-code-20250219,interleaved-thinking-2025-05-14, ", BEDROCK)
    assert json.loads(sent) == {
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "é 1e2"}],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["effort-2025-11-24", "interleaved-thinking-2025-05-14"],
    }
    assert b"\\u00e9 1e2" in sent


def test_flags_that_bedrock_does_not_know_and_members_behind_a_flag_are_left_out() -> None:
    body = b'{"model":"m","messages":[],"context_management":{"edits":[]}}'
    assert set(json.loads(as_bedrock(body, "prompt-caching-scope-2026-01-05", BEDROCK))) == {
        "messages",
        "anthropic_version",
    }
    assert "context_management" in json.loads(as_bedrock(body, "context-management-2025-06-27", BEDROCK))


def test_members_of_tools_and_marks_that_only_anthropic_knows_are_left_out() -> None:
    scope, mark = {"type": "ephemeral", "scope": "global"}, {"type": "ephemeral"}
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"scope": "x", "cache_control": scope}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]}
    schema = {"type": "object", "properties": {"scope": {"type": "string"}, "defer_loading": {"type": "string"}}}
    body = {
        "system": [{"type": "text", "text": "s", "cache_control": {**scope, "ttl": "1h"}}],
        "tools": [{"name": "f", "input_schema": schema, "eager_input_streaming": True, "defer_loading": True}],
        "messages": [
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{**result, "cache_control": scope}]},
        ],
    }
    sent = json.loads(as_bedrock(json.dumps(body).encode(), "prompt-caching-scope-2026-01-05", BEDROCK))
    assert sent["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert sent["tools"] == [{"name": "f", "input_schema": schema}]
    assert sent["messages"][0]["content"] == [use], "arguments are the model's own"
    assert sent["messages"][1]["content"] == [{**result, "cache_control": mark}]


@pytest.mark.parametrize("content", ["Hi", [{"type": "text", "text": "Hi"}]])
def test_the_mark_of_a_whole_request_becomes_one_of_its_last_block(content: Any) -> None:
    mark = {"type": "ephemeral"}
    body = {"cache_control": mark, "messages": [{"role": "user", "content": content}]}
    sent = json.loads(as_bedrock(json.dumps(body).encode(), "", BEDROCK))
    assert "cache_control" not in sent
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "Hi", "cache_control": mark}]
    full = {**body, "system": [{"type": "text", "text": "s", "cache_control": mark}] * 4}
    sent = json.loads(as_bedrock(json.dumps(full).encode(), "", BEDROCK))
    assert sent["messages"] == body["messages"]
    assert "cache_control" not in json.loads(as_bedrock(b'{"cache_control":{},"messages":[]}', "", BEDROCK))


def test_members_that_name_the_defaults_of_anthropic_are_left_out() -> None:
    body = b'{"service_tier":"auto","inference_geo":"global","speed":"standard","messages":[]}'
    assert set(json.loads(as_bedrock(body, "", BEDROCK))) == {"messages", "anthropic_version"}
    assert "speed" in json.loads(as_bedrock(b'{"speed":"fast","messages":[]}', "", BEDROCK))


def test_changes_of_tools_among_the_texts_of_the_system_are_left_out() -> None:
    content = [{"type": "tool_addition", "tools": []}, {"type": "text", "text": "s"}]
    body = {"messages": [{"role": "system", "content": content}]}
    sent = json.loads(as_bedrock(json.dumps(body).encode(), "", BEDROCK))
    assert sent["system"] == [{"type": "text", "text": "s"}]


def test_flags_in_the_body_are_checked_too() -> None:
    body = b'{"messages":[],"anthropic_beta":["effort-2025-11-24","claude-code-20250219"]}'
    assert json.loads(as_bedrock(body, "", BEDROCK))["anthropic_beta"] == ["effort-2025-11-24"]
    for odd in (b'"effort-2025-11-24"', b"null", b"[7]"):
        assert "anthropic_beta" not in json.loads(as_bedrock(b'{"messages":[],"anthropic_beta":%s}' % odd, "", BEDROCK))


def test_messages_of_the_system_in_a_conversation_become_its_system() -> None:
    user = {"role": "user", "content": "Hi"}
    texts = [{"type": "text", "text": "third"}]
    messages = [user, {"role": "system", "content": "second"}, user, {"role": "system", "content": texts}]
    for system, first in (("first", "first"), ([{"type": "text", "text": "first"}], "first"), (None, None)):
        body = {"messages": messages, **({"system": system} if system else {})}
        sent = json.loads(as_bedrock(json.dumps(body).encode(), "mid-conversation-system-2026-04-07", BEDROCK))
        assert sent["messages"] == [user, user]
        assert [block["text"] for block in sent["system"]] == [*([first] if first else []), "second", "third"]
