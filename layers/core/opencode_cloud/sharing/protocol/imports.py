"""New ids for each import of a share, so that it is a session of its own (docs/decisions/005).

A client takes the session's id from the data and keeps messages and parts by their ids. It leaves alone what it has
already. So two imports with equal ids would meet in one share, or lack messages.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.ids import BASE62, new_session_id_like

_TAIL = 14  # random characters at the end of a client's id; the time and a counter come before
_USUAL = re.compile(rb"(?:msg|prt)_[0-9a-f]{12}[0-9A-Za-z]{14}")
_TEXT = re.compile(rb'"((?:ses|msg|prt)[^"\\]*)"')


class _Named(msgspec.Struct):
    # Raw, because another program may send an id of any JSON, such as a number that no decoder takes.
    id: msgspec.Raw = msgspec.Raw()


def renamed(items: Sequence[Item], session_id: str) -> list[Item]:
    """Return ``items`` with new ids of the session, its messages and its parts, and the same references among them.

    The items must contain their bodies. ``session_id`` is the id that they have in common; a session item may name
    another. Any whole string of an id's form is an id, so members that this code does not know are renamed too. The new
    ids sort like the old ones: clients order messages and parts by them, also against the messages that follow.
    """
    old, new = session_id.encode(), new_session_id_like(session_id).encode()
    names = _new_names({*_own_ids(items, "message", "part"), *_usual_ids(items)})
    names |= dict.fromkeys(_own_ids(items, "session"), new)

    def rename(match: re.Match[bytes]) -> bytes:
        name = names.get(match[1])
        return match[0] if name is None else b'"' + name + b'"'

    return [msgspec.structs.replace(item, data=_TEXT.sub(rename, item.data).replace(old, new)) for item in items]


def _own_ids(items: Iterable[Item], *types: str) -> Iterator[bytes]:
    """Yield the ids of the items of ``types``, which a program may choose itself, in any form."""
    for item in items:
        if item.type in types:
            text = _TEXT.fullmatch(bytes(msgspec.json.decode(item.data, type=_Named).id))
            if text:
                yield text[1]


def _usual_ids(items: Iterable[Item]) -> Iterator[bytes]:
    """Yield all ids of the clients' form, such as references to messages that are not in the share."""
    for item in items:
        for text in _TEXT.findall(item.data):
            if _USUAL.fullmatch(text):
                yield text


def _new_names(ids: Iterable[bytes]) -> dict[bytes, bytes]:
    names: dict[bytes, bytes] = {}
    for head, same_head in groupby(sorted(ids), _head):
        group = list(same_head)
        tails = sorted(_new_tail() for _ in group)
        names.update(zip(group, (head + tail for tail in tails), strict=True))
    return names


def _head(name: bytes) -> bytes:
    """Return the part of an id that stays: its time, or all of an id of another form."""
    # A hyphen sorts before all characters of ids, so that a longer id still comes later.
    return name[:-_TAIL] if _USUAL.fullmatch(name) else name + b"-"


def _new_tail() -> bytes:
    return "".join(secrets.choice(BASE62) for _ in range(_TAIL)).encode()
