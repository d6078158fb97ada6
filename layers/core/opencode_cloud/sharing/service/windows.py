"""Reads of a conversation by windows: its newest messages, those before, after or around a place.

Messages of a snapshot are read from its stored chunks, and later ones from the log. A session without stored chunks is
short, or was last published by an older version: its chunks are made here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from opencode_cloud.kit.parallel import pool
from opencode_cloud.sharing.models import Item, Share, message_not_found
from opencode_cloud.sharing.protocol.fold import Fold
from opencode_cloud.sharing.rendering.outline import MessageHead, MessageWindow, Piece, head_of, pieces, undone_from
from opencode_cloud.sharing.rendering.transcript import Transcript, TranscriptEntry, TranscriptMessage, transcribe
from opencode_cloud.sharing.service.outlines import (
    SEVERAL,
    StoredChunk,
    StoredOutline,
    message_of,
    read_chunks,
    read_outline,
)
from opencode_cloud.sharing.service.reading import counting_view

if TYPE_CHECKING:
    from opencode_cloud.contracts.ids import ShareId
    from opencode_cloud.sharing.service.access import ShareAccess, Visitor
    from opencode_cloud.sharing.service.snapshots import Snapshots
    from opencode_cloud.sharing.store import ObjectStore, ShareStore

PAGE_COST = 400_000  # bytes of JSON in the first page, which take 0.15 s to render
WINDOW_COST = 200_000  # bytes of JSON in a further window

Place: TypeAlias = tuple[int, str]
"""The position of a message, and the key of a part or an empty string for its beginning. Places sort by time."""


class _Chunk(msgspec.Struct, frozen=True):
    place: Place
    cost: int
    size: int
    messages: Sequence[TranscriptMessage] | None
    stored: StoredChunk | None = None


class Conversation:
    """A share up to ``seq``, whose messages are read where they are needed.

    ``ticket`` is for the page's next requests; empty if none is needed.
    """

    def __init__(
        self,
        share: Share,
        seq: int,
        ticket: str,
        outline: StoredOutline | None,
        tail: Sequence[Item],
        read: Callable[[Sequence[StoredChunk]], list[list[Item]]],
    ) -> None:
        """``tail`` are the items after the snapshot of ``outline``, or all items; ``read`` reads stored chunks."""
        self.share = share
        self.seq = seq
        self.ticket = ticket
        self._read = read
        stored = outline or StoredOutline([], [], [])
        known = {head.id for head in stored.heads}
        single = [each.item() for each in stored.single]
        self._elsewhere = {item.key: item for item in (*single, *tail) if item.body}
        self._later = [item for item in tail if message_of(item) in known]
        new = transcribe([*single, *(i for i in tail if message_of(i) not in known)])
        self.single = Transcript(new.session, new.model, new.diff, [], [])
        self.heads = [*_renewed(stored.heads, self._later), *map(head_of, new.messages)]
        self._position = {head.id: at for at, head in enumerate(self.heads)}
        self._chunks = [
            _Chunk((chunk.message, chunk.part), chunk.cost, chunk.size, None, chunk) for chunk in stored.chunks
        ]
        self._chunks += [self._chunk(piece) for piece in pieces(new.messages)]
        self._places = [chunk.place for chunk in self._chunks]

    def _chunk(self, piece: Piece) -> _Chunk:
        return _Chunk((self._position[piece.messages[0].id], piece.part), piece.cost, piece.size, piece.messages)

    def newest(self, cost: int = PAGE_COST) -> MessageWindow:
        """Return the last messages, and all if they are within ``cost``."""
        begin = self._back(len(self._chunks), cost)
        return self._window(begin, len(self._chunks), (0, ""), (len(self.heads), ""))

    def before(self, cursor: str, cost: int = WINDOW_COST) -> MessageWindow:
        """Return messages that end at ``cursor``. Raises ``message_not_found`` (404)."""
        place = self.place(cursor)
        end = bisect_left(self._places, place)
        return self._window(self._back(end, cost), end, (0, ""), place)

    def since(self, cursor: str, cost: int = WINDOW_COST) -> MessageWindow:
        """Return messages from ``cursor`` on. Raises ``message_not_found`` (404)."""
        place = self.place(cursor)
        begin = max(0, bisect_right(self._places, place) - 1)
        return self._window(begin, self._on(begin, cost), place, (len(self.heads), ""))

    def around(self, cursor: str, cost: int = WINDOW_COST) -> MessageWindow:
        """Return messages before and after ``cursor``. Raises ``message_not_found`` (404)."""
        at = max(0, bisect_right(self._places, self.place(cursor)) - 1)
        return self._window(max(0, at - 1), self._on(at, cost), (0, ""), (len(self.heads), ""))

    def oldest(self, cost: int = WINDOW_COST) -> MessageWindow:
        """Return the first messages."""
        return self._window(0, self._on(0, cost), (0, ""), (len(self.heads), ""))

    def place(self, cursor: str) -> Place:
        """Return the place of ``<message>`` or ``<message>/<part>``. Raises ``message_not_found`` (404)."""
        message, _, part = cursor.partition("/")
        if message not in self._position:
            raise message_not_found()
        return self._position[message], f"part/{cursor}" if part else ""

    def has(self, key: str) -> bool:
        """Tell whether there is a message or a part of this key, or the changes of the session."""
        kind, _, cursor = key.partition("/")
        if kind == "message":
            return cursor in self._position
        return key in self.entries([key], lambda _: ())

    @property
    def chunks(self) -> int:
        """Return the number of chunks."""
        return len(self._chunks)

    def chunk_at(self, cursor: str) -> int:
        """Return the chunk that holds ``cursor``. Raises ``message_not_found`` (404)."""
        return max(0, bisect_right(self._places, self.place(cursor)) - 1)

    def cursor_of(self, chunk: int) -> str:
        """Return the cursor at which a chunk begins; empty behind the last."""
        return self._cursor(self._places[chunk]) if chunk < len(self._places) else ""

    def some(
        self, chunk: int, most_bytes: int, fill: Callable[[Sequence[Item]], Sequence[Item]]
    ) -> tuple[list[TranscriptMessage], int]:
        """Return the messages from ``chunk`` on up to ``most_bytes``, of at least one chunk, and the next chunk.

        ``fill`` returns items with the bodies that are stored elsewhere.
        """
        end, size = chunk, 0
        while end < len(self._chunks) and (end == chunk or size + self._chunks[end].size <= most_bytes):
            size += self._chunks[end].size
            end += 1
        messages = self._messages(chunk, end)
        empty = [entry for message in messages for entry in message.parts if not entry.inline]
        known = [self._elsewhere[entry.key] for entry in empty if entry.key in self._elsewhere]
        bodies = {item.key: item.data for item in fill(known)}
        for entry in empty:
            entry.raw = bodies.get(entry.key, b"")
        return messages, end

    def entries(
        self, keys: Iterable[str], fill: Callable[[Sequence[Item]], Sequence[Item]]
    ) -> Mapping[str, TranscriptEntry]:
        """Return the messages, the parts and the changes of the session that have one of ``keys``, by key.

        ``fill`` returns items with the bodies that are stored elsewhere. The entries of windows stay without them.
        """
        wanted = frozenset(keys)
        cursors = [cursor for key in wanted if (cursor := key.partition("/")[2])]
        known = [cursor for cursor in cursors if cursor.partition("/")[0] in self._position]
        found = {"session_diff": self.single.diff} if self.single.diff else {}
        for chunk in sorted({self.chunk_at(cursor) for cursor in known}):
            for message in self._messages(chunk, chunk + 1):
                found.update({entry.key: entry for entry in (message.entry, *message.parts) if entry})
        chosen = {key: entry for key, entry in found.items() if key in wanted}
        empty = [self._elsewhere[key] for key, entry in chosen.items() if not entry.inline and key in self._elsewhere]
        bodies = {item.key: item.data for item in fill(empty)}
        return {
            key: msgspec.structs.replace(entry, raw=bodies[key]) if key in bodies else entry
            for key, entry in chosen.items()
        }

    def _back(self, end: int, cost: int) -> int:
        """Return the first of the chunks before ``end`` that together are within ``cost``; at least one."""
        begin, spent = end, 0
        while begin > 0 and (begin == end or spent + self._chunks[begin - 1].cost <= cost):
            begin -= 1
            spent += self._chunks[begin].cost
        return begin

    def _on(self, begin: int, cost: int) -> int:
        """Return the end of the chunks from ``begin`` on that together are within ``cost``; at least one."""
        end, spent = begin, 0
        while end < len(self._chunks) and (end == begin or spent + self._chunks[end].cost <= cost):
            spent += self._chunks[end].cost
            end += 1
        return end

    def _window(self, begin: int, end: int, least: Place, limit: Place) -> MessageWindow:
        """Return the messages of chunks between two places."""
        messages = [
            kept
            for message in self._messages(begin, end)
            if (kept := _within(message, self._position[message.id], least, limit))
        ]
        first = max(least, self._places[begin] if begin < len(self._places) else (0, ""))
        last = min(limit, self._places[end] if end < len(self._places) else (len(self.heads), ""))
        single = self.single
        undone = undone_from(self.heads, single.taken_back)
        return MessageWindow(
            Transcript(single.session, single.model, single.diff, messages, []),
            first[0],
            len(self.heads),
            frozenset(message.id for message in messages if self._position[message.id] >= undone),
            self._cursor(first) if self._places and first > self._places[0] else "",
            self._cursor(last) if last[0] < len(self.heads) else "",
        )

    def _cursor(self, place: Place) -> str:
        return place[1].removeprefix("part/") or self.heads[place[0]].id

    def _messages(self, begin: int, end: int) -> list[TranscriptMessage]:
        """Return the messages of neighbouring chunks in order, with updates that came after the snapshot."""
        stored = [chunk.stored for chunk in self._chunks[begin:end] if chunk.stored]
        found = self._stored(stored, begin) if stored else []
        for chunk in self._chunks[begin + len(stored) : end]:
            for message in chunk.messages or ():
                if found and found[-1].id == message.id:  # it was cut
                    found[-1] = TranscriptMessage(message.id, message.entry, [*found[-1].parts, *message.parts])
                else:
                    found.append(message)
        return found

    def _stored(self, chunks: Sequence[StoredChunk], begin: int) -> list[TranscriptMessage]:
        """Return the messages of stored chunks, of which the first has the number ``begin``."""
        items = [item for read in self._read(chunks) for item in read]
        self._elsewhere = {item.key: item for item in items if item.body} | self._elsewhere
        least, end = self._places[begin], begin + len(chunks)
        limit = self._places[end] if end < len(self._places) else (len(self.heads), "")
        items += [item for item in self._later if least <= self._first_place(item) < limit]
        # An update of a cut message's own facts belongs to each of its pieces.
        present = {message_of(item) for item in items}
        items += [item for item in self._later if item.type == "message" and message_of(item) in present]
        return sorted(transcribe(items).messages, key=lambda message: self._position[message.id])

    def _first_place(self, item: Item) -> Place:
        return self._position[message_of(item)], item.key if item.type == "part" else ""


def _within(message: TranscriptMessage, at: int, least: Place, limit: Place) -> TranscriptMessage | None:
    """Return the part of a message between two places; None if there is none."""
    if at < least[0] or at > limit[0] or (at == limit[0] and not limit[1]):
        return None
    parts = message.parts
    if at == least[0] and least[1]:
        parts = [part for part in parts if part.key >= least[1]]
    if at == limit[0]:
        parts = [part for part in parts if part.key < limit[1]]
    return message if parts is message.parts else TranscriptMessage(message.id, message.entry, parts)


def _renewed(heads: Sequence[MessageHead], later: Iterable[Item]) -> list[MessageHead]:
    """Return ``heads`` as they are after ``later``, in the same order."""
    newest = {message_of(item): item for item in later if item.type == "message"}
    if not newest:
        return list(heads)
    renewed = {message.id: head_of(message) for message in transcribe(newest.values()).messages}
    return [
        msgspec.structs.replace(renewed[head.id], created=head.created, words=head.words)
        if head.id in renewed
        else head
        for head in heads
    ]


class ConversationReader:
    """Opens conversations for everyone whom the gate admits."""

    def __init__(
        self, store: ShareStore, objects: ObjectStore, snapshots: Snapshots, share_access: ShareAccess
    ) -> None:
        self._store = store
        self._objects = objects
        self._snapshots = snapshots
        self._share_access = share_access

    def open(self, share_id: ShareId, visitor: Visitor, *, is_view: bool = False) -> Conversation:
        """Return a share's conversation. For a share with an owner this counts as a view, if it ``is_view``.

        Raises as :meth:`ShareAccess.admit` does.
        """
        admission = self._share_access.admit(share_id, self._store.share(share_id), visitor)
        share = admission.share
        if not is_view:
            return self._opened(share, admission.ticket())
        return counting_view(self._store, share, lambda: self._opened(share, admission.ticket()))

    def _opened(self, share: Share, ticket: str) -> Conversation:
        snapshot = share.snapshot
        if snapshot is None or not snapshot.outline_bytes:
            fold, seq = self._snapshots.fold(share)
            return Conversation(share, seq, ticket, None, fold.items(), lambda _: [])
        outline = pool().submit(read_outline, self._objects, share.id, snapshot.object)
        fold, seq = Fold(), snapshot.seq
        for record in self._store.records(share.id, seq):
            fold.add(record.items)
            seq = record.last
        tail = fold.items()
        if any(item.type == SEVERAL for item in tail):
            whole, seq = self._snapshots.fold(share)
            return Conversation(share, seq, ticket, None, whole.items(), lambda _: [])

        def read(chunks: Sequence[StoredChunk]) -> list[list[Item]]:
            return read_chunks(self._objects, share.id, snapshot.object, chunks)

        return Conversation(share, seq, ticket, outline.result(), tail, read)
