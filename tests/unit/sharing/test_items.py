"""Published items: identity keys and unchanged bytes."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.items import from_legacy, parse, to_legacy_key
from opencode_cloud.sharing.rendering.transcript import transcribe
from opencode_cloud.sharing.service.reading import legacy_data

SESSION = "ses_dfa12facaffe9CT4lEoCRhKTNh"
KINDS, NO_OBJECTS = (b"session", b"message", b"part"), (b"5", b'"x"', b"[1]", b"null")


def raw(kind: str, data: object) -> bytes:
    return json.dumps({"type": kind, "data": data}).encode()


@pytest.mark.parametrize(
    ("kind", "data", "key"),
    [
        ("session", {"id": SESSION}, "session"),
        ("session_diff", [], "session_diff"),
        ("model", [{"id": "m"}], "model"),
        ("message", {"id": "msg_1", "sessionID": SESSION}, "message/msg_1"),
        ("part", {"id": "prt_1", "messageID": "msg_1"}, "part/msg_1/prt_1"),
        ("todo", {"id": "t_1"}, "todo/t_1"),
        ("messages", {"sessionID": SESSION, "messages": []}, "messages"),
        ("weather", "sunny", "weather"),
    ],
)
def test_an_item_gets_the_key_by_which_the_clients_queue_knows_it(kind: str, data: object, key: str) -> None:
    assert parse([raw(kind, data)])[0].key == key


def test_two_objects_never_have_the_same_key() -> None:
    published = [
        ("message", {"id": "a"}),
        ("message", {"id": "a/b"}),
        ("message", {"id": "a~1b"}),
        ("message/a", 5),
        ("part", {"messageID": "a/b", "id": "c"}),
        ("part", {"messageID": "a", "id": "b/c"}),
        ("part/a", {"id": "b~1c"}),
        ("todo", {"messageID": "a", "id": "b"}),
        ("todo", {"id": "a/b"}),
    ]
    keys = [each.key for each in parse([raw(kind, data) for kind, data in published])]
    assert len({*keys}) == len(published), keys


def test_a_part_belongs_to_its_message_whatever_its_id() -> None:
    items = parse([raw("message", {"id": "a/b"}), raw("part", {"messageID": "a/b", "id": "c"}), raw("message/a", 5)])
    transcript = transcribe(items)
    assert [(message.id, len(message.parts)) for message in transcript.messages] == [("a~1b", 1)]


def test_a_body_keeps_every_byte_as_it_was_sent() -> None:
    body = b'{ "id":"prt_1" , "messageID":"m", "big": 12345678901234567890123, "float": 1.0e5, "dup": 1, "dup": 2 }'
    item = parse([b'{"type":"part","extra":1,"data":' + body + b"}"])[0]
    assert item.data == body


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'"text"', "must be an object"),
        (b'{"data":{}}', "must be an object"),
        (b'{"type":"","data":{}}', "type of 1 to 64"),
        *((b'{"type":"%b","data":%b}' % (kind, data), "no object") for kind in KINDS for data in NO_OBJECTS),
        (b'{"type":"part","data":{"id":"p"}}', "without `id` and `messageID`"),
        (b'{"type":"message","data":{}}', "without `id`"),
        (raw("message", {"id": "x" * 600}), "too long"),
    ],
)
def test_a_malformed_item_is_refused_by_its_position(bad: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)) as refused:
        parse([raw("session", {}), bad])
    assert refused.value.code == "invalid_item"
    assert "Item 1" in refused.value.message


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        (f"session/info/{SESSION}", "session"),
        (f"session/message/{SESSION}/msg_1", "message/msg_1"),
        (f"session/part/{SESSION}/msg_1/prt_1", "part/msg_1/prt_1"),
    ],
)
def test_legacy_keys_and_items_lead_to_each_other(key: str, identity: str) -> None:
    item = from_legacy(key, msgspec.Raw(b"{}"))
    assert item.key == identity
    assert to_legacy_key(item, SESSION) == key


@pytest.mark.parametrize("key", ["", "session", "session/info", "session/part/s/m", "secret/x/y", "session/other/s/x"])
def test_a_legacy_key_outside_the_allowed_prefixes_is_refused(key: str) -> None:
    with pytest.raises(BadRequest) as refused:
        from_legacy(key, msgspec.Raw(b"{}"))
    assert refused.value.code == "invalid_key"


def test_types_unknown_to_the_legacy_protocol_have_no_legacy_key() -> None:
    assert to_legacy_key(Item(key="model", type="model"), SESSION) is None


@pytest.mark.parametrize("content", [b"5", b'"x"', b"[1]", b"null"])
def test_legacy_content_that_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequest, match="no object"):
        from_legacy("session/message/ses_1/msg_1", msgspec.Raw(content))


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ({"parts": [{"text": "in"}], "metadata": {}}, ["in", "alone"]),
        ({"parts": []}, ["alone"]),
        ({"parts": None}, ["alone"]),
        ({"summary": {"parts": 5}}, ["alone"]),
        ({}, ["alone"]),
    ],
)
def test_legacy_readers_get_the_parts_inside_a_message_and_those_that_came_alone(
    message: dict[str, object], texts: list[str]
) -> None:
    part = {"id": "prt_1", "messageID": "msg_1", "text": "alone", "cost": 1}
    items = parse([raw("message", {"id": "msg_1", **message}), raw("part", part)])
    for count, expected in ((2, texts), (1, texts[:-1])):
        shown = json.loads(legacy_data(items[:count]), object_pairs_hook=_once)["messages"]["msg_1"]
        assert [each["text"] for each in shown["parts"]] == expected
        assert shown == {"id": "msg_1", **message, "parts": shown["parts"]}


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)
