"""Snapshots: the folded state of a share as one compressed object, so that readers need not read a long log.

A snapshot is written when the stored tail behind the last one has grown to a twentieth of its size (at least 128 KB).
The rewritten bytes therefore stay proportional to the published bytes, for any length of the session. The tail, which
each reader folds, stays short.

The object is the document that readers get, compressed once by gzip and once by zstd. No reader folds it again. Beside
that of a long session is an outline, by which pages read some of its messages (docs/decisions/063).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.content_codings import QUICK, Coding, pack, unpack
from opencode_cloud.kit.ids import new_object_id
from opencode_cloud.sharing.models import SCHEMA, Item, Position, Share, Snapshot, State, share_gone
from opencode_cloud.sharing.protocol.fold import Fold
from opencode_cloud.sharing.protocol.frames import encode_item

if TYPE_CHECKING:
    from opencode_cloud.sharing.store import ObjectStore, ShareStore

TAIL_BYTES = 128 * 1024
TAIL_SHARE = 0.05
ZSTD_SUFFIX = ".zst"
COPIES = "copies/"
COPY_SECONDS = 120  # twice as long as an address of the object store is valid
OUTLINE_BYTES = 1_000_000  # of a document; a page folds a shorter one in some milliseconds
HINT_ITEMS = 100  # how far a log may run ahead of the end that its share's row records


class Part(msgspec.Struct, frozen=True):
    """A share's state from a cursor to ``seq``. ``more`` is true when the log continues."""

    fold: Fold
    seq: int
    more: bool


class _StoredItem(msgspec.Struct):
    seq: int
    at: int
    key: str
    type: str
    data: msgspec.Raw = msgspec.Raw(b"")
    body: str | None = None


class _StoredDocument(msgspec.Struct):
    seq: int
    items: list[_StoredItem]


class Snapshots:
    """Writes and reads snapshots."""

    def __init__(self, store: ShareStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    def follow(self, share_id: ShareId, end: Position) -> Snapshot | None:
        """Take a snapshot or advance the hint, if one is due for a log that has grown to ``end``."""
        share = self._store.share(share_id)
        if share is None or share.state is State.GONE:
            return None
        base = share.snapshot
        tail = end.total - (base.total if base else 0)
        if tail >= max(TAIL_BYTES, TAIL_SHARE * (base.stored if base else 0)):
            return self.take(share)
        if end.seq - share.hint.seq >= HINT_ITEMS:
            self._store.set_snapshot(share_id, None, end)
        return None

    def take(self, share: Share) -> Snapshot:
        """Fold the whole log into a new snapshot and return it, or return a concurrent invocation's newer one.

        Raises ``share_gone`` when the share was removed meanwhile; then nothing of the snapshot is left.
        """
        return self._write(share, *self._fold(share))

    def rebuild(self, share: Share) -> None:
        """Replace a share's snapshot by one of its whole log, and delete the older ones at once.

        A reader who was just redirected to one of them gets nothing, and asks again.
        """
        base = share.snapshot
        if base is None:
            return
        fold, end = self._fold(msgspec.structs.replace(share, snapshot=None))
        current = self._write(share, fold, end)
        for name in (base.object, current.previous, base.previous):
            if name is not None and name != current.object:
                self._objects.delete(share.id, name)

    def _write(self, share: Share, fold: Fold, end: Position) -> Snapshot:
        items = fold.items()
        encoded = [_with_body_name(share.id, item) for item in items]
        # The log may have grown by the time this is read.
        document = items_document(share.id, end.seq, encoded, more=True)
        base = share.snapshot
        packed = pack(document, Coding.GZIP, QUICK)
        name = f"snapshots/{end.seq:012d}-{new_object_id()}"
        snapshot = Snapshot(
            seq=end.seq,
            total=end.total,
            bytes=len(document),
            stored=len(packed),
            object=name,
            zstd=True,
            outline_bytes=self._outline(share.id, name, items) if len(document) > OUTLINE_BYTES else 0,
            previous=base.object if base else None,
        )
        # Store the objects before the row names them, so that no reader follows a name without an object.
        self._objects.put(share.id, snapshot.object, packed)
        small = pack(document, Coding.ZSTD)
        self._objects.put(share.id, f"{snapshot.object}{ZSTD_SUFFIX}", small, coding=Coding.ZSTD)
        if self._store.set_snapshot(share.id, snapshot, end):
            # A reader may just have been redirected to ``base``, so delete only the snapshot before it.
            if base is not None and base.previous is not None:
                self._objects.delete(share.id, base.previous)
            return snapshot
        # The row names another snapshot or is gone, so no reader can reach this object.
        self._objects.delete(share.id, snapshot.object)
        current = self._store.share(share.id)
        if current is None or current.snapshot is None:
            raise share_gone()
        return current.snapshot

    def _outline(self, share_id: ShareId, name: str, items: Sequence[Item]) -> int:
        from opencode_cloud.sharing.service.outlines import write_outline  # syncs and viewers need no renderers

        return write_outline(self._objects, share_id, name, items)

    def fold(self, share: Share) -> tuple[Fold, int]:
        """Return the share's state and its last sequence number."""
        fold, end = self._fold(share)
        return fold, end.seq

    def packed(self, share_id: ShareId, snapshot: Snapshot, coding: Coding) -> tuple[bytes, Coding]:
        """Return a snapshot's document as it is stored, by zstd if ``coding`` is that and it exists, else by gzip."""
        name, coding = _stored_as(snapshot, coding)
        return self._objects.get(share_id, name), coding

    def address(self, share_id: ShareId, snapshot: Snapshot, coding: Coding) -> str:
        """Return the address of the object that :meth:`packed` reads."""
        name, _ = _stored_as(snapshot, coding)
        return self._objects.address(share_id, name)

    def short_gap(self, share_id: ShareId, after: int, limit: int) -> Part | None:
        """Return the items after ``after`` from the log; None if their bodies exceed ``limit`` bytes or one query."""
        page = self._store.page(share_id, after)
        size = sum(len(item.data) for record in page.records for item in record.items)
        if not page.complete or size > limit:
            return None
        fold = Fold()
        fold.add_records(page.records)
        return Part(fold, max(after, page.records[-1].last if page.records else 0), more=False)

    def part(self, share_id: ShareId, after: int, limit: int) -> Part:
        """Return the items after ``after`` from the log, up to about ``limit`` bytes: whole records, at least one."""
        fold, seq, size = Fold(), after, 0
        for record in self._store.records(share_id, seq):
            size += sum(len(item.data) for item in record.items)
            # Always return one record, so that a reader gets past a record above the limit.
            if size > limit and len(fold):
                return Part(fold, seq, more=True)
            fold.add(record.items)
            seq = record.last
        return Part(fold, seq, more=False)

    def publish(self, share_id: ShareId, name: str, body: bytes, content_type: str) -> str:
        """Store a document for readers unless it exists, and return its address.

        Raises ``share_gone`` when the share was removed during the write, and deletes the document again.
        """
        if not self._objects.exists(share_id, name):
            self._objects.put(share_id, name, pack(body, Coding.GZIP, QUICK), content_type)
            # A purge may have listed the objects before this one existed, so look at the share again.
            share = self._store.share(share_id)
            if share is None or share.state is State.GONE:
                self._objects.delete(share_id, name)
                raise share_gone()
        return self._objects.address(share_id, name)

    def publish_copy(self, share_id: ShareId, body: bytes) -> str:
        """Store a document for one reader alone, and return its address. Delete the copies that no address reaches.

        Raises ``share_gone`` as :meth:`publish` does.
        """
        self._objects.delete_older(share_id, COPIES, COPY_SECONDS)
        return self.publish(share_id, f"{COPIES}{new_object_id()}", body, "application/json")

    def _fold(self, share: Share) -> tuple[Fold, Position]:
        base = share.snapshot
        fold, end = Fold(), Position()
        if base is not None:
            fold, end = Fold(self._read(share.id, base)), Position(base.seq, base.total)
        for record in self._store.records(share.id, end.seq):
            fold.add(record.items)
            end = Position(record.last, record.total)
        return fold, end

    def _read(self, share_id: ShareId, snapshot: Snapshot) -> list[Item]:
        document = msgspec.json.decode(unpack(*self.packed(share_id, snapshot, Coding.ZSTD)), type=_StoredDocument)
        return [
            Item(key=i.key, type=i.type, data=bytes(i.data), body=i.body, seq=i.seq, at=i.at) for i in document.items
        ]


def _stored_as(snapshot: Snapshot, coding: Coding) -> tuple[str, Coding]:
    """Return the name of a snapshot's object in ``coding``, and the coding that it has."""
    if coding is Coding.ZSTD and snapshot.zstd:
        return f"{snapshot.object}{ZSTD_SUFFIX}", coding
    return snapshot.object, Coding.GZIP


def items_document(share_id: ShareId, seq: int, items: Sequence[bytes], *, more: bool = False) -> bytes:
    """Encode the document of ``GET /share/{id}/items``. ``more`` says that the log continues after ``seq``."""
    head = msgspec.json.encode({"schema": SCHEMA, "share": share_id, "seq": seq, "more": more})[:-1]
    return head + b',"items":[' + b",".join(items) + b"]}"


def _with_body_name(share_id: ShareId, item: Item) -> bytes:
    """Encode an item for a snapshot: as readers see it, plus the name of its object, which only the server uses."""
    encoded = encode_item(share_id, item)
    return encoded if item.body is None else encoded[:-1] + b',"body":' + msgspec.json.encode(item.body) + b"}"
