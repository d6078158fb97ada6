"""Publications that arrive together for one share are committed as one record.

A publisher waits for one write of the store, however many others publish. Each publication is judged on its own, and is
acknowledged after the record is durable (invariant I1). Items keep their own arrival times (I3) and are numbered in the
order of arrival.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.sharing.models import Commit, Item, Mode, Position, Record, Share
from opencode_cloud.sharing.protocol.capability import SealedSession
from opencode_cloud.sharing.protocol.concealment import conceal
from opencode_cloud.sharing.service.access import existing, is_over
from opencode_cloud.sharing.service.publishing import Publishing

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.sharing.store import Head

KNOWN_SECONDS = 0.5
"""How long the row of a share without an owner is believed, so that a commit takes one round trip.

Another process may remove the share meanwhile. Then this one answers 410 within that time (invariant I5: a second).
"""
KNOWN_SHARES = 10_000


@dataclass(frozen=True, slots=True)
class Publication:
    """A batch of items as it arrived at ``at`` (milliseconds), with its proof. ``actor`` is the sender, if any."""

    secret: str
    items: Sequence[Item]
    at: int
    address: str = ""
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """A durable record of which the share's viewers must be told; see ``FanOut.push``."""

    share: Share
    record: Record
    stale: frozenset[str]
    mode: Mode


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """The results of publications, in their order, and the record of those that were accepted."""

    results: Sequence[Commit | ServiceError]
    announcement: Announcement | None = None


@dataclass(slots=True)
class _View:
    """A share's row as it was read, its audience, and the sessions of the secrets that were checked with it."""

    share: Share | None
    read_at: float
    mode: Mode | None = None
    sessions: dict[str, SealedSession] = field(default_factory=dict[str, SealedSession])


class GroupPublishing(Publishing):
    """Commits groups of publications. Two groups of one share at one time contend for the end of its log."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take the arguments of :class:`Publishing`."""
        super().__init__(*arguments, **options)
        self._views: OrderedDict[ShareId, _View] = OrderedDict()

    def commit_group(self, share_id: ShareId, publications: Sequence[Publication]) -> GroupOutcome:
        """Commit ``publications`` as one record, without telling its viewers.

        On return the accepted ones are durable and visible to every later read. Each of the others has the error that
        :meth:`Publishing.sync` would raise.
        """
        view, head = self._recalled(share_id) or self._read(share_id)
        results: list[Commit | ServiceError] = [Commit(head.tail.seq, 0)] * len(publications)
        accepted: list[tuple[int, list[Item]]] = []
        for position in sorted(range(len(publications)), key=lambda each: publications[each].at):
            try:
                items = self._admitted(share_id, view, publications[position])
            except ServiceError as error:
                results[position] = error
            else:
                accepted += [(position, items)] if items else []
        if not accepted or view.share is None:
            return GroupOutcome(results)
        try:
            record = self._commit(view.share, head, [item for _, items in accepted for item in items])
        except ServiceError as error:
            self.forget(share_id)
            for position, _ in accepted:
                results[position] = error
            return GroupOutcome(results)
        end = record.first - 1
        for position, items in accepted:
            end += len(items)
            results[position] = Commit(end, len(items))
        return GroupOutcome(results, self._announcement(view, record))

    def look(self, share_id: ShareId) -> Head:
        """Return a share and its viewers as they are now. The same read renews what is known of the share's log."""
        view, read_at = self._views.get(share_id), time.monotonic()
        head = self._store.head(share_id, self._tails.position(share_id))
        self._learn(head)
        # A view that was forgotten during the read stays forgotten.
        if view is not None and self._views.get(share_id) is view:
            if head.share is None or is_over(head.share) or head.share.ownership is not None:
                self.forget(share_id)
            else:
                view.share, view.read_at = head.share, read_at
        return head

    def forget(self, share_id: ShareId) -> None:
        """Read the share's row again before the next commit, because it was changed."""
        self._views.pop(share_id, None)

    def _recalled(self, share_id: ShareId) -> tuple[_View, Head] | None:
        """Return what is known of a share without an owner and of its log; None if that is too little, or too old.

        The owner, the workspace and its policy are looked up at every use (invariant I9). The put is conditional on the
        end of the log, so an outdated end costs a conflict and a read.
        """
        view, end = self._views.get(share_id), self._tails.position(share_id)
        if view is None or view.share is None or view.share.ownership is not None or end is None:
            return None
        if time.monotonic() - view.read_at > KNOWN_SECONDS:
            return None
        return view, self._store.head_at(view.share, end)

    def _read(self, share_id: ShareId) -> tuple[_View, Head]:
        view = self._views[share_id] = _View(None, time.monotonic())
        self._views.move_to_end(share_id)
        if len(self._views) > KNOWN_SHARES:
            self._views.popitem(last=False)
        head = self._store.head(share_id, self._tails.position(share_id))
        view.share = head.share
        self._learn(head)
        return view, head

    def _admitted(self, share_id: ShareId, view: _View, publication: Publication) -> list[Item]:
        """Return the items of a publication as they are stored. Raises the errors of :meth:`Publishing.sync`."""
        session = self._session(share_id, view, publication)
        share = existing(self._store, share_id, view.share)
        if view.mode is None:
            view.mode = self._share_access.publishing_mode(share)
        if not publication.items:
            return []
        if share.ownership is None:
            self._quotas.take(share_id, publication.address, publication.items)
        # Conceal before anything reads or stores the items: no row, title or object holds a session id.
        items = conceal(publication.items, session, publication.secret)
        self._note_title(share, items)
        return [msgspec.structs.replace(item, at=publication.at) for item in items]

    def _session(self, share_id: ShareId, view: _View, publication: Publication) -> SealedSession:
        """Check the secret of a publication and return its session. A secret is unsealed once for each read row."""
        claims = publication.actor is not None and (view.share is None or view.share.ownership is None)
        known = view.sessions.get(publication.secret)
        if known is not None and not claims:
            return known
        share, session = self._opened(share_id, view.share, publication.secret, publication.actor)
        if share is not view.share:  # it was claimed
            view.share, view.mode = share, None
            view.sessions.clear()
        if not share.needs_login:
            view.sessions[publication.secret] = session
        return session

    def _commit(self, share: Share, head: Head, items: list[Item]) -> Record:
        at = max(item.at for item in items)
        _, tail, end = self._append(share, head, items, at)
        numbered = tuple(msgspec.structs.replace(item, seq=tail.seq + 1 + offset) for offset, item in enumerate(items))
        log.count("CommitCount")
        log.count("ItemCount", len(items))
        log.size("ByteCount", sum(len(item.data) for item in items))
        return Record(first=tail.seq + 1, last=end.seq, at=at, total=end.total, items=numbered)

    def _announcement(self, view: _View, record: Record) -> Announcement | None:
        if view.share is None or view.mode is None:
            return None
        end = Position(record.last, record.total)
        # An earlier item of the group does not make its key stale: all of them are sent, in order.
        latest = {item.key: item for item in record.items}
        stale = self._tails.advance(view.share.id, end, record.items).stale(latest.values())
        return Announcement(view.share, record, stale, view.mode)
