"""A share as a conversation, and the JSON document made of it."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.rendering.blocks import Note, Reasoning, Text, Tool, Unknown, block, failure, file, usage
from opencode_cloud.sharing.rendering.lenient import decode, line, plain
from opencode_cloud.sharing.rendering.transcript import moment, to_document, transcribe
from tests.unit.sharing.conversation import (
    BEGIN,
    PIXEL,
    Item,
    assistant,
    conversation,
    item,
    model,
    part,
    session,
    tool,
    user,
)

SHARE = "S" * 22
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def document(*items: Item) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(to_document(ShareId(SHARE), items, 7)))


def test_messages_come_in_order_of_their_time_and_then_of_their_id() -> None:
    items = [user("msg_a", BEGIN + 2), assistant("msg_c", BEGIN), user("msg_b", BEGIN), user("msg_d", BEGIN + 1)]
    assert [message.id for message in transcribe(items).messages] == ["msg_b", "msg_c", "msg_d", "msg_a"]


def test_ids_of_a_wrapped_clock_do_not_change_the_order() -> None:
    older, newer = user("msg_fff000000000aaaaaaaaaaaaaa", BEGIN), user("msg_000fff000000aaaaaaaaaaaaaa", BEGIN + 1)
    assert [message.id[:7] for message in transcribe([newer, older]).messages] == ["msg_fff", "msg_000"]


def test_parts_come_in_order_of_their_id() -> None:
    items = [assistant(), *(part("msg_2", f"prt_{n}", "text", text=str(n)) for n in (3, 1, 2))]
    assert [entry.value["text"] for entry in transcribe(items).messages[0].parts] == ["1", "2", "3"]


def test_the_order_in_which_items_are_given_does_not_matter() -> None:
    items = conversation()
    expected = to_document(ShareId(SHARE), items, 1)
    random.Random(1).shuffle(items)
    assert to_document(ShareId(SHARE), items, 1) == expected


def test_of_one_key_the_later_arrival_counts() -> None:
    early, late = item("session", {"title": "early"}, at=1, seq=9), item("session", {"title": "late"}, at=2, seq=8)
    assert transcribe([late, early]).title == "late"


def test_a_part_without_its_message_waits_at_the_end() -> None:
    messages = transcribe([part("msg_0", "prt_1", "text", text="early"), user("msg_1")]).messages
    assert [(message.id, message.role) for message in messages] == [("msg_1", "user"), ("msg_0", "unknown")]


def test_a_share_without_a_session_has_a_stand_in_for_the_title() -> None:
    assert transcribe([user()]).title == "Untitled session"
    assert transcribe([session(title="")]).title == "Untitled session"


def test_an_assistant_without_completion_is_unfinished_and_one_with_an_error_is_not() -> None:
    started = {"created": BEGIN}
    assert transcribe([assistant(time=started)]).messages[0].unfinished
    assert not transcribe([assistant()]).messages[0].unfinished
    failed = transcribe([assistant(time=started, error={"name": "MessageAbortedError", "data": {}})]).messages[0]
    assert (failed.unfinished, failed.error) == (False, "Interrupted")


def test_summary_is_diffs_on_a_user_message_and_true_on_a_compaction() -> None:
    changed = user(summary={"diffs": [{"file": "f2.txt", "patch": "+x", "additions": 200, "deletions": 0}]})
    assert [diff.file for diff in transcribe([changed]).messages[0].diffs] == ["f2.txt"]
    assert transcribe([assistant(summary=True)]).messages[0].diffs == []


def test_the_document_holds_session_messages_with_parts_models_and_diffs() -> None:
    found = document(*conversation())
    assert (found["schema"], found["share"], found["seq"]) == (1, SHARE, 7)
    assert found["session"]["title"] == "twenty turns"
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    assert [each["type"] for each in found["messages"][0]["parts"]] == ["text", "file"]
    assert found["messages"][1]["info"]["tokens"]["total"] == 32_550
    assert found["models"] == [{"id": "stub-1", "providerID": "stub", "name": "Stub One", "status": "active"}]
    assert found["diffs"][0]["file"] == "f2.txt"
    assert found["other"] == []


def test_the_document_keeps_unknown_items_under_other() -> None:
    found = document(item("hologram", {"beam": [1]}, key="hologram/h1"))
    assert found["other"] == [{"type": "hologram", "key": "hologram/h1", "data": {"beam": [1]}}]


def test_the_document_of_an_empty_share_has_every_field() -> None:
    assert document() == {
        "schema": 1,
        "share": SHARE,
        "seq": 7,
        "missing": None,
        "session": None,
        "messages": [],
        "models": [],
        "diffs": [],
        "other": [],
    }


def test_options_of_models_and_response_headers_of_providers_are_left_out() -> None:
    error = {"name": "APIError", "data": {"message": "no", "responseHeaders": {"x-api-key": "sk-secret"}}}
    secretive = model(options={"apiKey": "sk-secret"}, headers={"authorization": "sk-secret"})
    retry = part("msg_2", "prt_1", "retry", attempt=1, error=error)
    found = document(secretive, assistant(error=error), retry)
    assert "sk-secret" not in json.dumps(found)
    assert found["messages"][0]["info"]["error"] == {"name": "APIError", "data": {"message": "no"}}


def test_a_second_generation_blob_reads_as_messages() -> None:
    blob = {
        "sessionID": "ses_x",
        "messages": [
            {"id": "msg_1", "type": "user", "text": "hello", "time": {"created": BEGIN}},
            {
                "id": "msg_2",
                "type": "assistant",
                "model": {"id": "stub-1", "providerID": "stub"},
                "content": [
                    {"type": "text", "id": "t", "text": "there"},
                    {
                        "type": "tool",
                        "name": "read",
                        "state": {"status": "completed", "input": {"path": "a"}, "content": [{"text": "b"}]},
                    },
                ],
                "time": {"created": BEGIN + 1},
            },
            {"type": "compaction", "summary": "short", "time": {"created": BEGIN + 2}},
            {"type": "shell", "command": "ls", "output": "a b", "time": {"created": BEGIN + 3}},
        ],
    }
    transcript = transcribe([session(location={"directory": "/x"}), item("messages", blob)])
    assert [message.role for message in transcript.messages] == ["user", "assistant", "compaction", "shell"]
    assert transcript.messages[1].model == "stub-1"
    shown = [block(entry.value) for message in transcript.messages for entry in message.parts]
    assert [each.kind for each in shown if each] == ["text", "text", "tool", "text", "tool"]
    read, shell = (each for each in shown if isinstance(each, Tool))
    assert (read.input, read.output, shell.input) == ("path: a", "b", "$ ls")


@given(
    st.lists(
        st.tuples(st.sampled_from(["session", "message", "part", "session_diff", "model", "messages", "x"]), anything)
    )
)
def test_no_data_of_the_wrong_shape_fails(published: list[tuple[str, Any]]) -> None:
    items = [Item(f"{kind}/a/{n}", kind, json.dumps(data).encode()) for n, (kind, data) in enumerate(published)]
    msgspec.json.encode(to_document(ShareId(SHARE), items, 1))


@given(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["text", "reasoning", "tool", "file", "patch", "retry", "subtask", "agent", "compaction", "new"]
            ),
            "state": anything
            | st.dictionaries(st.sampled_from(["status", "input", "output", "title", "time", "error"]), anything),
        },
        optional=dict.fromkeys(("text", "url", "files", "error", "filename", "mime", "attempt", "name"), anything),
    )
)
def test_no_part_of_the_wrong_shape_fails(given_part: dict[str, Any]) -> None:
    block(given_part)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a":"\\ud83d|"}', {"a": "\ufffd|"}),
        (b'{"\\udc00":1}', {"\ufffd": 1}),
        (b'{"n":1e999}', {"n": None}),
        (b"{", None),
        (b"", None),
        (b'"\xff"', None),
        (b"[" * 100_000 + b"]" * 100_000, None),
        (b"[" * 300 + b"]" * 300, None),
        (b'{"a":"' + b"{" * 500 + b'"}', {"a": "{" * 500}),
    ],
)
def test_json_is_read_as_browsers_read_it_and_what_cannot_be_read_is_none(raw: bytes, expected: object) -> None:
    assert decode(raw) == expected


@pytest.mark.parametrize("kind", ["step-start", "step-finish", "snapshot"])
def test_bookkeeping_is_not_shown(kind: str) -> None:
    assert block({"type": kind}) is None


def test_empty_and_synthetic_text_is_not_shown() -> None:
    assert block({"type": "text", "text": " \n"}) is None
    assert block({"type": "text"}) is None
    assert block({"type": "text", "text": "for the model only", "synthetic": True}) is None
    assert block({"type": "text", "text": "shown"}) == Text("shown")
    assert block({"type": "reasoning", "text": "hm"}) == Reasoning("hm")


@pytest.mark.parametrize(
    ("given_part", "words"),
    [
        ({"type": "compaction", "auto": False}, "Context compacted"),
        ({"type": "compaction", "auto": True}, "Context compacted automatically"),
        ({"type": "agent", "name": "plan"}, "Agent: plan"),
        ({"type": "subtask", "agent": "general", "description": "look", "prompt": "p"}, "Subtask for general: look"),
        ({"type": "retry", "attempt": 2, "error": {"name": "APIError", "data": {}}}, "Retry 2: APIError"),
        ({"type": "patch", "files": ["/a", 3, "/b"]}, "Changed /a, /b"),
        ({"type": "patch", "files": None}, "Changed no file"),
    ],
)
def test_what_happened_is_told_in_a_line(given_part: dict[str, Any], words: str) -> None:
    assert block(given_part) == Note(words)


def test_a_part_of_an_unknown_type_is_shown_as_json() -> None:
    assert block({"type": "hologram", "é": 1}) == Unknown("hologram", '{"type":"hologram","é":1}')
    assert block({}) == Unknown("none", "{}")


def test_a_tool_shows_its_command_its_output_and_how_long_it_took() -> None:
    shown = block(json.loads(tool().data))
    assert isinstance(shown, Tool)
    assert (shown.name, shown.title, shown.state) == ("bash", "echo hi 1", "0.2 s")
    assert (shown.input, shown.output) == ("$ echo hi 1", "hi 1\n")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"status": "pending", "time": None}, "pending"),
        ({"status": "running", "time": {"start": BEGIN}}, "running"),
        ({"status": "error", "time": {"start": BEGIN, "end": BEGIN + 64_960}}, "error 1 min 5 s"),
        ({"status": 7, "time": {"start": 2, "end": 1}}, "unknown"),
    ],
)
def test_a_tool_says_how_far_it_is(state: dict[str, Any], words: str) -> None:
    shown = block(json.loads(tool(**state).data))
    assert isinstance(shown, Tool)
    assert shown.state == words


def test_an_edit_shows_its_patch_instead_of_both_texts() -> None:
    edit = tool(
        tool="edit",
        input={"filePath": "/f", "oldString": "a", "newString": "b", "replaceAll": False},
        metadata={"diff": "@@\n-a\n+b"},
    )
    shown = block(json.loads(edit.data))
    assert isinstance(shown, Tool)
    assert (shown.input, shown.patch) == ("filePath: /f\nreplaceAll: false", "@@\n-a\n+b")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/pixel.png",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,PHN2Zz4=",
        "data:image/png,raw",
        'data:image/png;base64,AAAA" onerror="x',
        "data:image/png;base64,AAAA\n",
        " data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "",
    ],
)
def test_only_inline_pictures_of_known_types_are_shown(url: str) -> None:
    assert file({"type": "file", "mime": "image/png", "url": url}).image == ""


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_inline_pictures_are_shown_with_their_size(kind: str) -> None:
    url = PIXEL.replace("png", kind, 1)
    shown = file({"type": "file", "mime": f"image/{kind}", "filename": "a", "url": url})
    assert shown.image == url
    assert shown.caption == f"a · image/{kind} · 48 B"


def test_terminal_escapes_and_control_characters_are_removed() -> None:
    assert plain("\x1b[31mred\x1b[0m \x1b]0;title\x07a\x00b\tc\r\nd\re\x9b") == "red ab\tc\nd\ne"


@given(st.text(), st.integers(1, 80))
def test_a_line_has_no_line_end_and_keeps_its_limit(words: str, limit: int) -> None:
    found = line(words, limit)
    assert len(found) <= limit
    assert found.split("\n") == [found]


@pytest.mark.parametrize(
    ("time", "words"), [(BEGIN, "2026-11-23 01:02 UTC"), (253_402_300_799_999, "9999-12-31 23:59 UTC"), (None, "")]
)
def test_times_are_written_in_utc(time: int | None, words: str) -> None:
    assert moment(time) == words


@pytest.mark.parametrize("time", [0, -1, 10**20, True, "1795395749173", 1e308, None, [1]])
def test_a_time_that_is_no_date_counts_as_unknown(time: object) -> None:
    assert transcribe([user(time={"created": time})]).messages[0].created is None


def test_usage_adds_up_what_was_sent_and_received() -> None:
    tokens = {"input": 1_000, "output": 20, "reasoning": 3, "cache": {"read": 200, "write": 34}}
    assert usage({"cost": 0.03257, "tokens": tokens}) == "1,234 tokens in (16 % cached) · 23 out · $0.0326"
    assert usage({"cost": 0, "tokens": {}}) == ""
    assert usage({"cost": 12, "tokens": None}) == "$12.0000"
    assert usage({"cost": 1e200, "tokens": {"input": -1}}) == "$1000000000.0000"


def test_failures_are_named_with_their_message() -> None:
    assert failure({"name": "APIError", "data": {"message": "Overloaded\nnow"}}) == "APIError: Overloaded now"
    assert failure({"unexpected": 1}) == "Error"
    assert failure(None) == ""


def test_the_document_tells_which_messages_the_user_took_back() -> None:
    items = [session(revert={"messageID": "msg_2"}), user(), assistant()]
    messages: Any = to_document(ShareId("id"), items, 1)["messages"]
    assert [message["undone"] for message in messages] == [False, True]
