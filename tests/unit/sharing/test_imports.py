"""Each import is a session of its own: new ids, the same references, the same order."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.imports import renamed

SESSION = "ses_000000000000AAAAAAAAAAAAAA"
PARENT = "ses_111111111111BBBBBBBBBBBBBB"
ID = re.compile(r"(?:msg|prt)_[0-9a-f]{12}[0-9A-Za-z]{14}")
IDS = st.from_regex(ID, fullmatch=True)


def usual(kind: str, number: int) -> str:
    return f"{kind}_{number:012x}{'x' * 14}"


USER, ANSWER, UNKNOWN = usual("msg", 1), usual("msg", 2), usual("msg", 9)
TEXT, TOOL, ATTACHED = usual("prt", 3), usual("prt", 4), usual("prt", 5)
SESSION_DATA = {"id": SESSION, "parentID": PARENT, "revert": {"messageID": ANSWER, "partID": TOOL}, "title": "A title"}
STATE = {"status": "completed", "attachments": [{"id": ATTACHED, "messageID": ANSWER, "sessionID": SESSION}]}
WHOLE: list[tuple[str, Any]] = [
    ("session", SESSION_DATA),
    ("message", {"id": USER, "sessionID": SESSION, "role": "user"}),
    ("message", {"id": ANSWER, "sessionID": SESSION, "role": "assistant", "parentID": USER}),
    ("part", {"id": TEXT, "messageID": USER, "sessionID": SESSION, "type": "text", "text": f"see {ANSWER}, msg_1"}),
    ("part", {"id": TOOL, "messageID": ANSWER, "sessionID": SESSION, "type": "tool", "state": STATE}),
    (
        "part",
        {"id": "prt_c", "messageID": "msg_own", "sessionID": SESSION, "type": "compaction", "tail_start_id": USER},
    ),
    ("message", {"id": "msg_own", "sessionID": SESSION, "role": "assistant", "parentID": UNKNOWN}),
    ("messages", {"sessionID": SESSION, "messages": [{"id": USER}]}),
]


def items_of(published: list[tuple[str, Any]]) -> list[Item]:
    return [Item(key=str(n), type=kind, data=json.dumps(data).encode()) for n, (kind, data) in enumerate(published)]


def copy_of(published: list[tuple[str, Any]]) -> list[Any]:
    return [json.loads(item.data) for item in renamed(items_of(published), SESSION)]


def test_every_reference_names_what_it_named_and_nothing_keeps_its_id() -> None:
    session, user, answer, text, tool, compaction, own, messages = copy_of(WHOLE)
    assert {each["sessionID"] for each in (user, answer, text, tool, compaction, own, messages)} == {session["id"]}
    assert answer["parentID"] == user["id"] == text["messageID"] == compaction["tail_start_id"]
    assert messages["messages"][0]["id"] == user["id"]
    assert session["revert"] == {"messageID": answer["id"], "partID": tool["id"]}
    (attached,) = tool["state"]["attachments"]
    assert (attached["messageID"], attached["sessionID"]) == (answer["id"], session["id"])
    assert compaction["messageID"] == own["id"]
    kept = {SESSION, USER, ANSWER, UNKNOWN, TEXT, TOOL, ATTACHED, "msg_own", "prt_c"}
    new = [each["id"] for each in (session, user, answer, text, tool, compaction, own, attached)]
    assert not kept & {*new, own["parentID"]}
    assert len(set(new)) == len(new)


def test_texts_titles_and_other_sessions_stay() -> None:
    session, _, _, text, *_ = copy_of(WHOLE)
    assert (session["title"], session["parentID"]) == ("A title", PARENT)
    assert text["text"] == f"see {ANSWER}, msg_1"


def test_two_imports_have_no_id_in_common() -> None:
    first, second = (json.dumps(copy_of(WHOLE)) for _ in range(2))
    found = [set(ID.findall(text.replace(f"see {ANSWER}", ""))) for text in (first, second)]
    assert len(found[0]) == 6
    assert not found[0] & found[1]
    assert copy_of(WHOLE)[0]["id"] != copy_of(WHOLE)[0]["id"]


def test_new_ids_have_the_clients_form_and_keep_their_time() -> None:
    for data in copy_of(WHOLE)[1:3]:
        assert ID.fullmatch(data["id"])
    assert [data["id"][:16] for data in copy_of(WHOLE)[1:3]] == [USER[:16], ANSWER[:16]]


@given(st.lists(IDS | st.from_regex(r"msg_[0-9A-Za-z]{0,20}", fullmatch=True), unique=True, max_size=20))
def test_new_ids_sort_like_the_old_ones(ids: list[str]) -> None:
    """Clients order messages and parts by their ids, and end a turn where the answer's id is behind the question's."""
    messages = [("message", {"id": each}) for each in ids]
    new = [data["id"] for data in copy_of(messages)]
    assert len(set(new)) == len(ids)
    assert sorted(new) == [name for _, name in sorted(zip(ids, new, strict=True))]


def test_ids_of_the_same_time_keep_their_order() -> None:
    same_time = [f"msg_{'0' * 12}{character * 14}" for character in "0Aaz"]
    new = [data["id"] for data in copy_of([("message", {"id": each}) for each in same_time])]
    assert new == sorted(new)


def test_a_session_item_that_names_another_session_becomes_the_copys_own() -> None:
    published: list[tuple[str, Any]] = [("session", {"id": "ses_x"}), ("message", {"id": USER, "sessionID": SESSION})]
    first, second = (copy_of(published) for _ in range(2))
    assert first[0]["id"] == first[1]["sessionID"] != second[0]["id"]


def test_items_without_an_id_are_left_alone() -> None:
    published: list[tuple[str, Any]] = [
        ("session", {}),
        ("message", {}),
        ("part", {"id": 5}),
        ("weather", "sunny"),
        ("model", [{"id": "m"}]),
    ]
    assert copy_of(published) == [data for _, data in published]


@pytest.mark.parametrize("value", ["1e999", "-9" + "9" * 250, r'"ses_\u0000"', "[]", "true"])
@pytest.mark.parametrize("kind", ["session", "message", "part"])
def test_an_id_of_any_json_leaves_the_share_readable(kind: str, value: str) -> None:
    data = f'{{"id": {value}, "messageID": "{USER}"}}'.encode()
    (item,) = renamed([Item(key="x", type=kind, data=data)], SESSION)
    assert value.encode() in item.data
