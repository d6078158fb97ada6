"""Frames of the live protocol (docs/protocol.md) and of the legacy protocol, each within the gateway's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.sockets import FRAME_BYTES, MESSAGE_BYTES
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.items import to_legacy_key

_encode = msgspec.json.encode
_FRAME_ITEMS = FRAME_BYTES - 128  # leaves room for the frame's own fields


def href(share_id: ShareId, item: Item) -> str:
    """Return the path at which an item that is too large for a frame can be fetched."""
    return f"/share/{share_id}/items/{item.seq}"


def encode_item(share_id: ShareId, item: Item, limit: int | None = None) -> bytes:
    """Encode an item for readers.

    Encode it by reference when its body is claim-checked or the whole is over ``limit`` bytes.
    """
    fields: dict[str, Any] = {"seq": item.seq, "at": item.at, "key": item.key, "type": item.type}
    if item.body is None and (limit is None or len(item.data) <= limit):
        whole = _encode({**fields, "data": msgspec.Raw(item.data)})
        if limit is None or len(whole) <= limit:
            return whole
    return _encode({**fields, "href": href(share_id, item)})


def live_frames(share_id: ShareId, after: int, items: Iterable[Item], upto: int) -> Iterator[bytes]:
    """Yield frames that carry ``items`` (ascending) and together cover every number over ``after``, up to ``upto``."""
    batch: list[bytes] = []
    size, end = 0, after
    for item in items:
        encoded = encode_item(share_id, item, _FRAME_ITEMS)
        if batch and size + len(encoded) + 1 > _FRAME_ITEMS:
            yield _items_frame(after, end, batch)
            batch, size, after = [], 0, end
        batch.append(encoded)
        size += len(encoded) + 1
        end = item.seq
    if batch or upto > after:
        yield _items_frame(after, max(upto, end), batch)


def _items_frame(after: int, seq: int, batch: list[bytes]) -> bytes:
    return b'{"type":"items","after":%d,"seq":%d,"items":[%b]}' % (after, seq, b",".join(batch))


def ready_frame(seq: int) -> bytes:
    """Encode a ``ready`` frame: the viewer has everything up to ``seq``, and every commit follows from here."""
    return _encode({"type": "ready", "seq": seq})


def snapshot_frame(share_id: ShareId, seq: int) -> bytes:
    """Encode a ``snapshot`` frame.

    Too much is missing for frames: the viewer must fetch the state, then resume from its sequence number.
    """
    return _encode({"type": "snapshot", "seq": seq, "href": f"/share/{share_id}/items"})


def gone_frame(share_id: ShareId) -> bytes:
    """Encode the frame that says that the share has been removed."""
    return _encode({"type": "gone", "share": share_id})


def comments_frame(share_id: ShareId) -> bytes:
    """Encode the frame that says that the comments of the share have changed. Clients ignore it if they show none."""
    return _encode({"type": "comments", "share": share_id, "href": f"/share/{share_id}/comments"})


def pong_frame(seq: int) -> bytes:
    """Encode the answer to a ping: the log ends at ``seq``."""
    return _encode({"type": "pong", "seq": seq})


def ack_frame(publication: str | None, seq: int) -> bytes:
    """Encode an ``ack`` frame: the publication is durable as the items up to ``seq``."""
    return _encode({"type": "ack", "id": publication, "seq": seq})


def error_frame(code: str, message: str, status: int, publication: str | None = None) -> bytes:
    """Encode an error, with the id of the failed publication if there is one.

    ``status`` tells whether trying again can help.
    """
    return _encode({"type": "error", "code": code, "status": status, "message": message, "id": publication})


def legacy_frame(share_id: ShareId, item: Item, pseudonym: str) -> bytes | None:
    """Encode an item for ``/share_poll``; return None for types that the protocol does not know.

    The protocol cannot split or reference an item, so one over the gateway's message limit is sent as ``href``.
    """
    key = to_legacy_key(item, pseudonym)
    if key is None:
        return None
    if item.body is None:
        frame = _encode({"key": key, "content": msgspec.Raw(item.data)})
        if len(frame) <= MESSAGE_BYTES:
            return frame
    return _encode({"key": key, "href": href(share_id, item)})


def legacy_order(item: Item) -> tuple[int, str]:
    """Return the sort key of a legacy replay. Viewers need the session first, then messages, then parts."""
    return ({"session": 0, "message": 1}.get(item.type, 2), item.key)
