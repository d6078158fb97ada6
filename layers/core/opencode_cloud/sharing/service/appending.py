"""Appending to the log of a share, beside its other writers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit.retry import Backoff
from opencode_cloud.sharing.models import Item, Position, Record, Share, contended
from opencode_cloud.sharing.service.access import existing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencode_cloud.sharing.service.tails import Tails
    from opencode_cloud.sharing.store import Head, ShareStore

CONTENTION = Backoff(first=0.002, longest=0.04, seconds=12)
"""Attempts of an append while other writers win, within the gateway's timeout of 29 s."""
TITLE_CHARACTERS = 200


class _Titled(msgspec.Struct):
    title: str = ""


class Appending:
    """Appends records. ``tails`` is what the process knows of the ends of logs."""

    def __init__(self, store: ShareStore, tails: Tails) -> None:
        self._store = store
        self._tails = tails

    def append(self, share: Share, head: Head, items: Sequence[Item], at: int) -> tuple[Head, Position, Position]:
        """Append at the end of the log, and retry when another writer won. Return the end before and after.

        Raises ``contended`` (503) with nothing stored; ``share_gone`` or ``share_not_found``.
        """
        # Store large bodies once; a retry repeats only the conditional put.
        payload = self._store.prepare(share.id, items)
        pauses = CONTENTION.pauses()
        while True:
            # Records of other writers may hold later arrivals of the same keys (Tail.stale).
            self.learn(head)
            end = self._store.append(share.id, head.tail, at, payload)
            if end is not None:
                return head, head.tail, end
            pause = next(pauses, None)
            if pause is None:
                raise contended()
            time.sleep(pause)
            head = self._store.head(share.id, head.tail)
            # The share may have been removed while other writers won.
            existing(self._store, share.id, head.share)

    def learn(self, head: Head) -> None:
        """Remember the end of a log, and the arrivals in it."""
        if head.share is not None:
            self._tails.advance(head.share.id, head.tail, (item for record in head.records for item in record.items))

    def note_title(self, share: Share, items: Sequence[Item]) -> None:
        """Store the title of a share with an owner, for lists. An unchanged title costs no write."""
        if share.ownership is None:
            return
        session = next((item for item in reversed(items) if item.type == "session"), None)
        if session is None:
            return
        try:
            title = msgspec.json.decode(session.data, type=_Titled).title[:TITLE_CHARACTERS]
        except msgspec.DecodeError:
            return  # the client sent a session without a title that a list could show
        if title != share.ownership.title:
            self._store.set_title(share.id, title)


def numbered(items: Sequence[Item], tail: Position) -> tuple[Item, ...]:
    """Return ``items`` with the numbers that they have after ``tail``."""
    return tuple(msgspec.structs.replace(item, seq=tail.seq + 1 + offset) for offset, item in enumerate(items))


def record_of(items: tuple[Item, ...], tail: Position, end: Position, at: int) -> Record:
    """Return the record from ``tail`` to ``end`` that arrived at ``at`` (milliseconds)."""
    return Record(first=tail.seq + 1, last=end.seq, at=at, total=end.total, items=items)
