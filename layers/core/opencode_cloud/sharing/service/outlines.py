"""Stored outlines: beside the snapshot of a long session, its messages in chunks that can be read alone.

The chunks are one object, each compressed for itself, so that a reader gets some of them by a range of bytes. The
outline is a second object: where the chunks are, and what lists of messages need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit.content_codings import Coding, pack, unpack
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.rendering.outline import MessageHead, Piece, head_of, pieces
from opencode_cloud.sharing.rendering.transcript import transcribe

if TYPE_CHECKING:
    from opencode_cloud.contracts.ids import ShareId
    from opencode_cloud.sharing.store import ObjectStore

SUFFIX = ".outline"
CHUNKS = ".chunks"
SINGLE = frozenset({"session", "model", "session_diff"})
SEVERAL = "messages"
"""The type of an item that holds all messages of a session. No outline is stored for such a session."""


class StoredItem(msgspec.Struct, array_like=True, frozen=True):
    """An item as it is stored in an outline or a chunk."""

    key: str
    type: str
    seq: int
    at: int
    data: msgspec.Raw = msgspec.Raw(b"")
    body: str | None = None

    @classmethod
    def of(cls, item: Item) -> StoredItem:
        """Return the stored form of an item."""
        return cls(item.key, item.type, item.seq, item.at, msgspec.Raw(item.data or b"null"), item.body)

    def item(self) -> Item:
        """Return the item."""
        data = b"" if self.body else bytes(self.data)
        return Item(key=self.key, type=self.type, seq=self.seq, at=self.at, data=data, body=self.body)


class StoredChunk(msgspec.Struct, array_like=True, frozen=True):
    """The place of a chunk: its first message, by its position, the key of its first part if that message is cut."""

    message: int
    part: str
    cost: int
    start: int
    length: int
    size: int
    """Bytes of JSON, with what is stored elsewhere."""


class StoredOutline(msgspec.Struct, array_like=True, frozen=True):
    """The outline of a snapshot. ``single`` holds the items that a session has once."""

    heads: list[MessageHead]
    chunks: list[StoredChunk]
    single: list[StoredItem]


def message_of(item: Item) -> str:
    """Return the id of the message that an item belongs to."""
    return item.key.split("/", 2)[1] if "/" in item.key else ""


def write_outline(objects: ObjectStore, share_id: ShareId, name: str, items: Sequence[Item]) -> int:
    """Store the outline of ``items`` beside the object ``name``; return its size, or 0 if these have none."""
    if any(item.type == SEVERAL for item in items):
        return 0
    by_key = {item.key: item for item in items}
    messages = transcribe(items).messages
    position = {message.id: at for at, message in enumerate(messages)}
    chunks: list[StoredChunk] = []
    body = bytearray()
    for piece in pieces(messages):
        document = msgspec.json.encode([StoredItem.of(item) for item in _items(piece, by_key)])
        packed = pack(document, Coding.ZSTD)
        at = position[piece.messages[0].id]
        chunks.append(StoredChunk(at, piece.part, piece.cost, len(body), len(packed), piece.size))
        body += packed
    single = [StoredItem.of(item) for item in items if item.type in SINGLE]
    outline = pack(msgspec.json.encode(StoredOutline(list(map(head_of, messages)), chunks, single)), Coding.ZSTD)
    objects.put_record(share_id, name + CHUNKS, bytes(body))
    objects.put_record(share_id, name + SUFFIX, outline)
    return len(outline)


def _items(piece: Piece, by_key: dict[str, Item]) -> Iterable[Item]:
    for message in piece.messages:
        keys = [f"message/{message.id}", *(part.key for part in message.parts)]
        yield from (by_key[key] for key in keys if key in by_key)


def read_outline(objects: ObjectStore, share_id: ShareId, name: str) -> StoredOutline:
    """Return the outline beside the object ``name``."""
    packed = objects.get(share_id, name + SUFFIX)
    return msgspec.json.decode(unpack(packed, Coding.ZSTD), type=StoredOutline)


def read_chunks(objects: ObjectStore, share_id: ShareId, name: str, chunks: Sequence[StoredChunk]) -> list[list[Item]]:
    """Return the items of neighbouring chunks, by one request."""
    if not chunks:
        return []
    start, end = chunks[0].start, chunks[-1].start + chunks[-1].length
    body = objects.get_range(share_id, name + CHUNKS, start, end - start)
    packed = (body[chunk.start - start : chunk.start - start + chunk.length] for chunk in chunks)
    return [_decoded(unpack(each, Coding.ZSTD)) for each in packed]


def _decoded(document: bytes) -> list[Item]:
    return [stored.item() for stored in msgspec.json.decode(document, type=list[StoredItem])]
