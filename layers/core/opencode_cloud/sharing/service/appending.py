"""Appending to the log of a share, beside its other writers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.names import shown_name
from opencode_cloud.kit.retry import Backoff
from opencode_cloud.sharing.models import Item, Position, Record, Share, contended
from opencode_cloud.sharing.service.access import existing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opencode_cloud.sharing.service.tails import Tails
    from opencode_cloud.sharing.store import Head, ShareStore

CONTENTION = Backoff(first=0.002, longest=0.04, seconds=12)
"""Attempts of an append while other writers win, within the gateway's timeout of 29 s."""
TITLE_CHARACTERS = 200


class WritersChanged(Exception):
    """The share's row was outdated: it has another owner or another secret now, so the sender must be checked again."""


def same_writers(share: Share) -> Callable[[Share], None]:
    """Return a check that raises :class:`WritersChanged` for a later row of ``share`` that admits other senders."""

    def check(later: Share) -> None:
        if _writers_of(later) != _writers_of(share):
            raise WritersChanged

    return check


def _writers_of(share: Share) -> tuple[str, bytes, bool]:
    return share.ownership.owner if share.ownership else "", share.secret_hash, share.needs_login


class _Titled(msgspec.Struct):
    title: str = ""


class Appending:
    """Appends records. ``tails`` is what the process knows of the ends of logs."""

    def __init__(self, store: ShareStore, tails: Tails) -> None:
        self._store = store
        self._tails = tails

    def append(
        self,
        share: Share,
        head: Head,
        items: Sequence[Item],
        at: int,
        recheck: Callable[[Share], None] | None = None,
    ) -> tuple[Head, Position, Position]:
        """Append at the end of the log, and retry when another writer won. Return the end before and after.

        ``recheck`` judges the share's row as it is read before a retry. Raises its errors, ``contended`` (503),
        ``share_gone`` or ``share_not_found``, each with nothing stored.
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
            present = existing(self._store, share.id, head.share)
            if recheck is not None:
                recheck(present)

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
            title = msgspec.json.decode(session.data, type=_Titled).title
        except msgspec.DecodeError:
            return  # the client sent a session without a title that a list could show
        # A model writes titles. Lists, the audit trail and terminals of operators show them beside other text.
        title = shown_name(title[: 4 * TITLE_CHARACTERS], TITLE_CHARACTERS)
        if title != share.ownership.title:
            self._store.set_title(share.id, title)


def numbered(items: Sequence[Item], tail: Position) -> tuple[Item, ...]:
    """Return ``items`` with the numbers that they have after ``tail``."""
    return tuple(msgspec.structs.replace(item, seq=tail.seq + 1 + offset) for offset, item in enumerate(items))


def record_of(items: tuple[Item, ...], tail: Position, end: Position, at: int) -> Record:
    """Return the record from ``tail`` to ``end`` that arrived at ``at`` (milliseconds)."""
    return Record(first=tail.seq + 1, last=end.seq, at=at, total=end.total, items=items)
