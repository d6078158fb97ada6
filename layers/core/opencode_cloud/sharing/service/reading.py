"""Reads of a share: its state is a snapshot folded with the tail of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.content_codings import Coding, unpack
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import parallel_map, pool
from opencode_cloud.sharing.models import LAST_SEQ, Item, Share, Snapshot, cursor_ahead, item_not_found
from opencode_cloud.sharing.protocol.frames import encode_item
from opencode_cloud.sharing.service.snapshots import Part, Snapshots, items_document

if TYPE_CHECKING:
    from opencode_cloud.sharing.service.access import Admission, ShareAccess, Visitor
    from opencode_cloud.sharing.service.windows import Conversation
    from opencode_cloud.sharing.store import ObjectStore, ShareStore

T = TypeVar("T")
PART_BYTES = 3 * 1024 * 1024  # of items' bodies in one document, so that it mostly fits into one answer
ANSWER_BYTES = 4 * 1024 * 1024  # Lambda allows 6 MB an answer; a larger document is read from the bucket
MOST_RELATIVES = 50
DIRECT_BYTES = 512 * 1024
"""Size of a compressed snapshot. Reading a larger one through the function takes longer than a redirect."""


class SharedState(msgspec.Struct, frozen=True):
    """A share and its items up to ``seq``, ascending by sequence number. Large bodies are still claim-checked."""

    share: Share
    seq: int
    items: Sequence[Item]


class ShareDocument(msgspec.Struct, frozen=True):
    """An answer small enough to be returned directly. ``body`` is packed already, unless ``coding`` is identity."""

    body: bytes
    coding: Coding = Coding.IDENTITY


class Redirect(msgspec.Struct, frozen=True):
    """The address of an answer that is too large for a function, valid for a minute."""

    address: str


def counting_view(store: ShareStore, share: Share, read: Callable[[], T]) -> T:
    """Return what ``read`` returns, and count a view of a share with an owner meanwhile.

    A failure to count does not fail the read: a throttled view is not counted (docs/decisions/004).
    """
    counted = pool().submit(store.count_view, share.id) if share.ownership else None
    found = read()
    if counted and (error := counted.exception()):
        logger.warning("view not counted", extra={"share": share.id, "reason": type(error).__name__})
    return found


class ShareReader:
    """Reads for everyone whom the gate admits: mostly anyone who knows a share's id."""

    def __init__(
        self, store: ShareStore, objects: ObjectStore, snapshots: Snapshots, share_access: ShareAccess
    ) -> None:
        self._store = store
        self._objects = objects
        self._snapshots = snapshots
        self._share_access = share_access

    def admit(self, share_id: ShareId, visitor: Visitor) -> Admission:
        """Return a share that ``visitor`` may read; raises as :meth:`ShareAccess.admit` does."""
        return self._share_access.admit(share_id, self._store.share(share_id), visitor)

    def bodies_origin(self) -> str:
        """Return the origin to which large answers are redirected."""
        return self._objects.origin()

    def state(self, share_id: ShareId, visitor: Visitor) -> SharedState:
        """Return the last item of each key. For a share with an owner this counts as a view."""
        share = self.admit(share_id, visitor).share
        fold, seq = counting_view(self._store, share, lambda: self._snapshots.fold(share))
        return SharedState(share, seq, fold.items())

    def conversation(self, share_id: ShareId, visitor: Visitor, *, is_view: bool = False) -> Conversation:
        """Return the conversation of a share, as :meth:`ConversationReader.open` does."""
        from opencode_cloud.sharing.service.windows import ConversationReader  # syncs need no renderers

        reader = ConversationReader(self._store, self._objects, self._snapshots, self._share_access)
        return reader.open(share_id, visitor, is_view=is_view)

    def relatives(self, share: Share, pseudonyms: Sequence[str], visitor: Visitor) -> dict[str, ShareId]:
        """Return the shares of the same publisher that publish these sessions and that ``visitor`` may read.

        The keys are the sessions' pseudonyms. At most :data:`MOST_RELATIVES` are looked up. The existence of a share
        that the visitor may not read stays hidden.
        """
        found = self._store.relatives(share.family, list(dict.fromkeys(pseudonyms))[:MOST_RELATIVES])
        readable = parallel_map(lambda other: self._may_read(other, visitor), found)
        pairs = zip(found, readable, strict=True)
        return {other.pseudonym: other.id for other, may in pairs if may and other.id != share.id}

    def _may_read(self, share: Share, visitor: Visitor) -> bool:
        # The ticket is another share's.
        try:
            self._share_access.admit(share.id, share, msgspec.structs.replace(visitor, ticket=""))
        except ServiceError:
            return False
        return True

    def inline(self, share_id: ShareId, items: Sequence[Item]) -> list[Item]:
        """Return ``items`` with the claim-checked bodies filled in."""
        return (
            list(parallel_map(lambda item: self._objects.filled(share_id, item), items))
            if any(item.body for item in items)
            else list(items)
        )

    def items(
        self, share_id: ShareId, visitor: Visitor, after: int = 0, coding: Coding = Coding.IDENTITY
    ) -> ShareDocument | Redirect:
        """Return the items after ``after`` as the document of ``GET /share/{id}/items``, for a client of ``coding``.

        The document's own ``seq`` is the last number that it covers. A long gap yields the share's snapshot or, behind
        it, a first part of the log (``more``). Raises ``cursor_ahead`` (409) for a number above the log's end.
        """
        share = self.admit(share_id, visitor).share
        # The hint is a lower bound of the end, so most readers cost no second look.
        if after > share.hint.seq and (after > LAST_SEQ or after > self._store.end(share_id)[1]):
            raise cursor_ahead()
        snapshot = share.snapshot
        if snapshot is None or after >= snapshot.seq:
            return self._part(share_id, after, self._snapshots.part(share_id, after, PART_BYTES))
        short = self._snapshots.short_gap(share_id, after, PART_BYTES) if after else None
        if short is not None:
            return self._part(share_id, after, short)
        return self._snapshot(share_id, snapshot, coding)

    def _part(self, share_id: ShareId, after: int, part: Part) -> ShareDocument | Redirect:
        items = [encode_item(share_id, item) for item in part.fold.items(after)]
        return self._document(
            share_id,
            f"items-{after:012d}-{part.seq:012d}",
            lambda: items_document(share_id, part.seq, items, more=part.more),
        )

    def _snapshot(self, share_id: ShareId, snapshot: Snapshot, coding: Coding) -> ShareDocument | Redirect:
        """Return a snapshot as it is stored (docs/decisions/004)."""
        if snapshot.stored > DIRECT_BYTES or snapshot.bytes > ANSWER_BYTES:
            return Redirect(self._snapshots.address(share_id, snapshot, coding))
        body, stored_as = self._snapshots.packed(share_id, snapshot, coding)
        if coding is Coding.IDENTITY:
            return ShareDocument(unpack(body, stored_as))
        return ShareDocument(body, stored_as)

    def item(self, share_id: ShareId, visitor: Visitor, seq: int) -> ShareDocument | Redirect:
        """Return one item of the log, with its body."""
        self.admit(share_id, visitor)
        record = self._store.record_with(share_id, seq)
        item = next((item for item in record.items if item.seq == seq), None) if record else None
        if item is None:
            raise item_not_found()
        return self._document(
            share_id, f"item-{seq:012d}", lambda: encode_item(share_id, self._objects.filled(share_id, item))
        )

    def data(self, share_id: ShareId, visitor: Visitor) -> ShareDocument | Redirect:
        """Return the flat array of items that the clients import, as a copy of its own (docs/protocol.md, "Data")."""
        from opencode_cloud.sharing.protocol.imports import renamed  # imports are rare

        state = self.state(share_id, visitor)
        copied = renamed(self.inline(share_id, state.items), state.share.pseudonym)
        body = flat_array(copied)
        if len(body) <= ANSWER_BYTES:
            return ShareDocument(body)
        return Redirect(self._snapshots.publish_copy(share_id, body))

    def document(
        self, share_id: ShareId, visitor: Visitor, name: str, content_type: str, render: Callable[[SharedState], bytes]
    ) -> ShareDocument | Redirect:
        """Return a rendering of the whole state, such as a transcript. ``name`` identifies it within the share."""
        state = self.state(share_id, visitor)
        if refusal := state.share.refusal:  # the rendering tells of it, and it changes without a new item
            name = f"{name}-without-{refusal.since}-{refusal.last}"
        whole = SharedState(state.share, state.seq, self.inline(share_id, state.items))
        return self._document(share_id, f"{name}-{state.seq:012d}", lambda: render(whole), content_type)

    def _document(
        self, share_id: ShareId, name: str, encode: Callable[[], bytes], content_type: str = "application/json"
    ) -> ShareDocument | Redirect:
        body = encode()
        if len(body) <= ANSWER_BYTES:
            return ShareDocument(body)
        # The name contains the sequence number, so a stored document never changes and serves later readers.
        return Redirect(self._snapshots.publish(share_id, f"documents/{name}", body, content_type))


def flat_array(items: Sequence[Item]) -> bytes:
    """Encode items in the clients' form, ``{"type", "data"}``, with the session first."""
    ordered = sorted(items, key=lambda item: item.type != "session")
    encoded = [msgspec.json.encode({"type": item.type, "data": msgspec.Raw(item.data)}) for item in ordered]
    return b"[" + b",".join(encoded) + b"]"


def legacy_data(items: Sequence[Item]) -> bytes:
    """Encode the state as the legacy protocol's ``{info, messages}``. Omit parts whose message has not arrived."""
    info = next((item.data for item in items if item.type == "session"), None)
    parts: dict[str, list[bytes]] = {}
    for item in items:
        if item.type == "part":
            parts.setdefault(item.key.split("/")[1], []).append(item.data)
    messages = [
        msgspec.json.encode(item.key.partition("/")[2]) + b":" + _with_parts(item, parts)
        for item in items
        if item.type == "message"
    ]
    head = b'"info":' + info + b"," if info else b""
    return b"{" + head + b'"messages":{' + b",".join(messages) + b"}}"


def _with_parts(message: Item, parts: dict[str, list[bytes]]) -> bytes:
    """Insert ``parts`` into a message's object as bytes, so that the rest of the object stays as it was sent.

    A message of the oldest clients has its parts inside. They stay, before those that came alone.
    """
    alone = parts.get(message.key.partition("/")[2], [])
    if b'"parts"' in message.data:
        members = msgspec.json.decode(message.data, type=dict[str, msgspec.Raw])
        inside = bytes(members.get("parts", msgspec.Raw()))
        kept = msgspec.json.decode(inside, type=list[msgspec.Raw]) if inside.startswith(b"[") else []
        members["parts"] = msgspec.Raw(b"[" + b",".join([*map(bytes, kept), *alone]) + b"]")
        return msgspec.json.encode(members)
    own = b'"parts":[' + b",".join(alone) + b"]"
    body = message.data.rstrip()[:-1].rstrip()
    return body + (own if body == b"{" else b"," + own) + b"}"
