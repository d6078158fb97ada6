"""Conversion of published data to items: identity keys, byte-faithful bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.sharing.models import Item, invalid_item

MAXIMUM_TYPE = 64
MAXIMUM_KEY = 512
OBJECTS = ("session", "message", "part")
"""Types whose data must be an object: readers put members into it, or read members of it."""
_LEGACY_KEY = r"session/(?:(info)/.+|(message)/[^/]+/([^/]+)|(part)/[^/]+/([^/]+)/([^/]+))"


class _Published(msgspec.Struct):
    type: str
    data: msgspec.Raw


class _Identity(msgspec.Struct):
    id: Any = None
    message_id: Any = msgspec.field(name="messageID", default=None)


def parse(batch: Iterable[msgspec.Raw | bytes]) -> list[Item]:
    """Read the items of a publication. Unknown types and fields are kept (docs/protocol.md, "Items").

    Raises :class:`BadRequest` (``invalid_item``) that names the position of the first malformed item.
    """
    return [_parse_one(position, bytes(raw)) for position, raw in enumerate(batch)]


def _parse_one(position: int, raw: bytes) -> Item:
    try:
        published = msgspec.json.decode(raw, type=_Published)
    except msgspec.DecodeError as error:
        raise invalid_item(position, f"must be an object with a string `type` and `data` ({error})") from error
    if not 0 < len(published.type) <= MAXIMUM_TYPE:
        raise invalid_item(position, f"must have a type of 1 to {MAXIMUM_TYPE} characters")
    data = bytes(published.data)
    key = _key(position, published.type, data)
    return Item(key=key, type=published.type, data=data)


def _key(position: int, kind: str, data: bytes) -> str:
    """Derive the identity key by the rule of the clients' own queue. Clients send no key."""
    is_object = data.lstrip().startswith(b"{")
    if kind in OBJECTS and not is_object:
        raise invalid_item(position, f"is a {kind} whose data is no object")
    if kind in ("session", "session_diff", "model") or not is_object:
        return _segment(kind)
    try:
        identity = msgspec.json.decode(data, type=_Identity)
    except msgspec.DecodeError as error:
        raise invalid_item(position, f"has data that is not valid JSON ({error})") from error
    parts = [part for part in (identity.message_id, identity.id) if isinstance(part, str) and part]
    if len(parts) < {"message": 1, "part": 2}.get(kind, 0):
        raise invalid_item(position, f"is a {kind} without {'`id`' if kind == 'message' else '`id` and `messageID`'}")
    if kind == "message":
        parts = parts[-1:]
    key = "/".join(map(_segment, (kind, *parts)))
    if len(key) > MAXIMUM_KEY:
        raise invalid_item(position, f"has ids that are too long (its key is over {MAXIMUM_KEY} characters)")
    return key


def _segment(text: str) -> str:
    """Return a type or an id as one segment of a key (RFC 6901, 3), so that no two objects have the same key."""
    return text.replace("~", "~0").replace("/", "~1") if "/" in text or "~" in text else text


def from_legacy(key: str, content: msgspec.Raw) -> Item:
    """Read one ``share_sync`` of the legacy protocol.

    Raises :class:`BadRequest`: ``invalid_key`` for a key outside the prefixes that the protocol allows,
    ``invalid_item`` for content that is no object.
    """
    match = re.fullmatch(_LEGACY_KEY, key)
    if match is None or len(key) > MAXIMUM_KEY:
        raise BadRequest(
            "invalid_key",
            "The key must be session/info/<session>, session/message/<session>/<message>"
            " or session/part/<session>/<message>/<part>.",
        )
    info, message, message_id, _, part_message, part_id = match.groups()
    data = bytes(content)
    if not data.lstrip().startswith(b"{"):
        raise invalid_item(0, "has content that is no object")
    if info:
        return Item(key="session", type="session", data=data)
    if message:
        return Item(key=f"message/{message_id}", type="message", data=data)
    return Item(key=f"part/{part_message}/{part_id}", type="part", data=data)


def to_legacy_key(item: Item, pseudonym: str) -> str | None:
    """Return an item's key in the legacy protocol; None for types that the protocol does not know."""
    if item.type == "session":
        return f"session/info/{pseudonym}"
    if item.type in ("message", "part"):
        kind, _, rest = item.key.partition("/")
        return f"session/{kind}/{pseudonym}/{rest}"
    return None
