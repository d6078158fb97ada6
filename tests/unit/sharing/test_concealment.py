"""No session id and no secret of a share reaches a reader, wherever it stands and however it is written."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ClientSessionId, ShareId
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol import capability
from opencode_cloud.sharing.protocol.capability import SealedSession
from opencode_cloud.sharing.protocol.concealment import HIDDEN_SECRET, conceal
from opencode_cloud.sharing.protocol.ids import new_session_id_like, pseudonym_of
from opencode_cloud.sharing.protocol.items import parse

KEY = capability.pseudonym_key("deployment key")
OWN = ClientSessionId("ses_dfa12facaffe9CT4lEoCRhKTNh")
SESSION = SealedSession(OWN, KEY)
PARENT, CHILD, LISTED = ("ses_" + 12 * hexadecimal + 14 * "Z" for hexadecimal in "abc")
SECOND_GENERATION = "ses_" + 32 * "0a"
OTHERS = (PARENT, CHILD, LISTED, SECOND_GENERATION)
SECRET = capability.share_secret("deployment key", capability.network_publisher("192.0.2.1"), ShareId("s" * 22), OWN)
PROOF = SECRET[-43:]
OTHER_SECRET = capability.share_secret("deployment key", capability.network_publisher("::/64"), ShareId("t" * 22), OWN)
CLIENTS_FORM = r"ses_(?:[0-9a-f]{64}|[0-9a-f]{12}[0-9A-Za-z]{14})"


def replaced(text: str) -> str:
    """Return a text as a reader gets it: the specification, by instance."""
    for planted in (OWN, *OTHERS):
        text = text.replace(planted, pseudonym_of(KEY, ClientSessionId(planted)))
    for secret in (SECRET, OTHER_SECRET, PROOF):
        text = text.replace(secret, HIDDEN_SECRET)
    return text


def escaped(text: str, needle: str) -> str:
    return text.replace(needle, "".join(f"\\u{ord(c):04x}" for c in needle))


# The shapes that clients 1.x send (sub-agents, forks, undo, compaction), with an id at every place that has one.
TASK = {
    "status": "completed",
    "input": {"description": "look", "prompt": f"go on with {CHILD}", "subagent_type": "general", "task_id": CHILD},
    "output": f'<task id="{CHILD}" state="completed">\n<task_result>{LISTED} Notes</task_result>\n</task>',
    "title": f"look at {LISTED}",
    "metadata": {"parentSessionId": OWN, "sessionId": CHILD, "summary": [{"id": "prt_1"}], "model": {}},
    "time": {"start": 1, "end": 2},
    "attachments": [{"id": "prt_2", "sessionID": OWN, "messageID": "msg_1", "type": "file", "url": f"file:///{CHILD}"}],
}
SHAPES: list[tuple[str, Any]] = [
    ("session", {"id": OWN, "parentID": PARENT, "title": f"Resume {LISTED} (fork #1)", "share": {"url": f"x/{OWN}"}}),
    ("session", {"id": OWN, "metadata": {PARENT: LISTED}, "revert": {"messageID": "msg_1", "snapshot": PARENT}}),
    ("message", {"id": "msg_1", "sessionID": OWN, "system": f"You are {CHILD}", "summary": {"title": LISTED}}),
    ("message", {"id": "msg_2", "sessionID": OWN, "error": {"name": "APIError", "data": {"responseBody": PARENT}}}),
    ("part", {"id": "prt_1", "messageID": "msg_1", "sessionID": OWN, "type": "tool", "tool": "task", "state": TASK}),
    (
        "part",
        {
            "id": "prt_2",
            "messageID": "msg_1",
            "sessionID": OWN,
            "type": "text",
            "text": f"{LISTED}\n{SECRET} {PROOF} {OTHER_SECRET}",
        },
    ),
    ("part", {"id": "prt_3", "messageID": "msg_1", "type": "file", "source": {"path": f"/{SECOND_GENERATION}.json"}}),
    ("part", {"id": "prt_4", "messageID": "msg_1", "type": "subtask", "prompt": CHILD, "command": f"x{CHILD}y"}),
    ("session_diff", [{"file": f"logs/{LISTED}.log", "patch": f"+{PARENT}{CHILD}"}]),
    ("model", [{"id": "m", "headers": {"x-session-id": OWN}}]),
    ("messages", {"sessionID": OWN, "messages": [{"id": "msg_1", "sessionID": OWN, LISTED: CHILD}]}),
    (PARENT, {"id": LISTED, "messageID": CHILD}),
]


@pytest.mark.parametrize(("kind", "data"), SHAPES)
def test_every_shape_that_clients_send_names_sessions_by_pseudonyms(kind: str, data: object) -> None:
    (parsed,) = parse([json.dumps({"type": kind, "data": data}).encode()])
    (item,) = conceal([parsed], SESSION, SECRET)
    shown = f"{item.key} {item.type} {item.data.decode()}"
    assert not [planted for planted in (OWN, *OTHERS, PROOF, OTHER_SECRET) if planted in shown]
    assert json.loads(item.data) == json.loads(replaced(json.dumps(data)))
    assert (item.key, item.type) == (replaced(parsed.key), replaced(parsed.type))


PLANTED = st.sampled_from([OWN, *OTHERS, SECRET, OTHER_SECRET, PROOF])
TEXTS = (
    st.text()
    | PLANTED
    | st.tuples(st.text(), PLANTED, st.text()).map("".join)
    | st.tuples(PLANTED, PLANTED).map("".join)
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES, st.sampled_from(["", OWN, *OTHERS, PROOF, OTHER_SECRET, "ses_", "shs_"]), st.booleans())
def test_no_reader_can_find_an_id_planted_anywhere_and_nothing_else_changes(
    value: object, written_escaped: str, ascii_only: bool
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only)
    if written_escaped:
        body = escaped(body, written_escaped)
    before = json.loads(body)
    raw = body.encode("utf-8", "surrogatepass")
    (item,) = conceal([Item(key=f"x/{CHILD}/{OWN}", type=f"about {PARENT}", data=raw)], SESSION, SECRET)
    after = json.loads(item.data.decode("utf-8", "surrogatepass"))
    shown = f"{item.key} {item.type} {json.dumps(after, ensure_ascii=False)}"
    assert not [planted for planted in (OWN, *OTHERS, PROOF, OTHER_SECRET) if planted in shown]
    assert after == json.loads(replaced(json.dumps(before, ensure_ascii=False)))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("needle", [OWN, CHILD, SECRET, PROOF, "ses_", "s", "_", "0"])
def test_no_escape_in_a_document_within_a_string_hides_anything(needle: str, depth: int) -> None:
    value: object = {"task": CHILD, OWN: [f"<{SECRET}>", PROOF], "code": "\\u0073\\u003c", "text": "is s_0"}
    document = escaped(json.dumps(value), needle)
    for _ in range(depth):
        document = json.dumps({"arguments": document})
    (item,) = conceal([Item(key="x", type="x", data=document.encode())], SESSION, SECRET)
    shown: object = json.loads(item.data)
    for _ in range(depth):
        assert isinstance(shown, dict)
        shown = json.loads(shown["arguments"])
    assert shown == json.loads(replaced(json.dumps(value)))


def test_escapes_that_hide_nothing_stay() -> None:
    data = json.dumps({"go": json.dumps({"html": "<b>ses_1</b>"}).replace("<", "\\u003c"), "regex": "\\\\u0073[a-z]+"})
    (item,) = conceal([Item(key="x", type="x", data=data.encode())], SESSION, SECRET)
    assert item.data == data.encode()


@given(st.from_regex(CLIENTS_FORM, fullmatch=True))
def test_any_id_of_the_clients_form_gets_a_pseudonym_of_that_form(session_id: str) -> None:
    (item,) = conceal([Item(key="x", type="x", data=json.dumps([session_id]).encode())], SESSION, SECRET)
    (shown,) = json.loads(item.data)
    assert shown == pseudonym_of(KEY, ClientSessionId(session_id)) != session_id
    assert re.fullmatch(CLIENTS_FORM, shown)
    assert len(shown) == len(session_id)


def test_equal_ids_have_equal_pseudonyms_in_all_shares_of_a_deployment_and_others_elsewhere() -> None:
    assert pseudonym_of(KEY, OWN) == pseudonym_of(KEY, OWN)
    assert pseudonym_of(KEY, OWN) != pseudonym_of(capability.pseudonym_key("another key"), OWN)


def test_the_shares_own_id_is_concealed_without_its_prefix_too() -> None:
    core = OWN.removeprefix("ses_")
    (item,) = conceal([Item(key=core, type=core, data=f'"{core}"'.encode())], SESSION, SECRET)
    name = pseudonym_of(KEY, OWN).removeprefix("ses_")
    assert (item.key, item.type, item.data) == (name, name, f'"{name}"'.encode())


@pytest.mark.parametrize("own", ["ses_1", "ses_" + 40 * "x", OWN + "abcd", "ses_" + 128 * "a"])
def test_an_own_id_of_another_form_is_concealed_as_a_whole(own: str) -> None:
    session_id = ClientSessionId(own)
    (item,) = conceal(
        [Item(key="x", type="x", data=f'["{own}","{PARENT}"]'.encode())], SealedSession(session_id, KEY), SECRET
    )
    assert json.loads(item.data) == [pseudonym_of(KEY, session_id), pseudonym_of(KEY, ClientSessionId(PARENT))]


def test_a_short_session_id_is_replaced_only_as_a_whole() -> None:
    (item,) = conceal(
        [Item(key="x", type="x", data=b'{"id":"ses_1","count":1}')],
        SealedSession(ClientSessionId("ses_1"), KEY),
        SECRET,
    )
    assert json.loads(item.data) == {"id": pseudonym_of(KEY, ClientSessionId("ses_1")), "count": 1}


def test_an_escaped_backslash_before_a_u_is_not_an_escape() -> None:
    body = rb'{"path":"C:\\u0073ome","other":"\u0073ome"}'
    (item,) = conceal([Item(key="x", type="x", data=body)], SESSION, SECRET)
    assert item.data == rb'{"path":"C:\\u0073ome","other":"some"}'


def test_a_body_without_ids_keeps_every_byte() -> None:
    body = b'{ "id":"prt_1" , "big": 12345678901234567890123, "f": 1.0e5, "dup": 1, "dup": 2, "text":"ses_, ses_x" }'
    item = Item(key="part/msg_1/prt_1", type="part", data=body)
    assert conceal([item], SESSION, SECRET) == [msgspec.structs.replace(item)]


@given(st.from_regex(r"ses_[A-Za-z0-9]{1,128}", fullmatch=True))
def test_pseudonyms_and_new_ids_have_the_form_of_the_id_and_differ_from_it(session_id: str) -> None:
    name = pseudonym_of(KEY, ClientSessionId(session_id))
    assert name != session_id
    for each in (name, new_session_id_like(session_id)):
        assert len(each) == len(session_id)
        assert re.fullmatch(r"ses_[A-Za-z0-9]+", each)


def test_a_pseudonym_of_a_clients_id_passes_the_clients_own_pattern() -> None:
    for name in (pseudonym_of(KEY, OWN), new_session_id_like(OWN)):
        assert re.fullmatch(r"ses_[0-9a-f]{12}[0-9A-Za-z]{14}", name)
