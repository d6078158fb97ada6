"""Publications that arrive together for one share are committed as one record.

A publisher waits for one write of the store, however many others publish. Each publication is judged on its own, and is
acknowledged after the record is durable (invariant I1). Items keep their own arrival times (I3) and are numbered in the
order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.sharing.models import Commit, Item, Mode, Position, Record, Share, contended
from opencode_cloud.sharing.protocol.capability import SealedSession
from opencode_cloud.sharing.protocol.concealment import conceal
from opencode_cloud.sharing.service.access import PublishingRules, existing, is_over
from opencode_cloud.sharing.service.appending import WritersChanged, numbered, record_of, same_writers
from opencode_cloud.sharing.service.publishing import CHECKS, Publishing
from opencode_cloud.sharing.service.tails import HUB_SECONDS, Tails

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.sharing.store import Head


class Publication(msgspec.Struct, frozen=True):
    """A batch of items as it arrived at ``at`` (milliseconds), with its proof. ``actor`` is the sender, if any."""

    secret: str
    items: Sequence[Item]
    at: int
    address: str = ""
    actor: Actor | None = None


class Announcement(msgspec.Struct, frozen=True):
    """A durable record of which the share's viewers must be told; see ``FanOut.push``."""

    share: Share
    record: Record
    stale: frozenset[str]
    mode: Mode


class GroupOutcome(msgspec.Struct, frozen=True):
    """The results of publications, in their order, and the record of those that were accepted."""

    results: Sequence[Commit | ServiceError]
    announcement: Announcement | None = None


class _Group(msgspec.Struct):
    """The share of one group of publications, its rules, and the sessions of the secrets that were checked."""

    share: Share | None
    sessions: dict[str, SealedSession]
    rules: PublishingRules | None = None


class GroupPublishing(Publishing):
    """Commits groups of publications. Two groups of one share at one time contend for the end of its log."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take the arguments of :class:`Publishing`."""
        super().__init__(*arguments, **options)
        self._remember(Tails(HUB_SECONDS))

    def commit_group(self, share_id: ShareId, publications: Sequence[Publication]) -> GroupOutcome:
        """Commit ``publications`` as one record, without telling its viewers.

        On return the accepted ones are durable and visible to every later read. Each of the others has the error that
        :meth:`Publishing.sync` would raise.
        """
        for _ in range(CHECKS):
            try:
                return self._commit_group(share_id, publications)
            except WritersChanged:
                self.forget(share_id)
        return GroupOutcome([contended()] * len(publications))

    def _commit_group(self, share_id: ShareId, publications: Sequence[Publication]) -> GroupOutcome:
        """Try :meth:`commit_group` once. Raises ``WritersChanged`` with nothing stored."""
        # The put is conditional on the end of the log, so an outdated end costs a conflict and a read.
        secrets = {publication.secret for publication in publications}
        head = self._known(share_id, secrets) or self.look(share_id)
        known = self._tails.known(share_id)
        group = _Group(head.share, known.sessions if known and known.share is head.share else {})
        asked = any(not publication.items for publication in publications)
        asked_end = self._end(share_id, head) if asked else head.tail.seq
        results: list[Commit | ServiceError] = [Commit(asked_end, 0)] * len(publications)
        accepted: list[tuple[int, list[Item]]] = []
        for position in sorted(range(len(publications)), key=lambda each: publications[each].at):
            try:
                items = self._admitted(share_id, group, publications[position])
            except ServiceError as error:
                results[position] = error
            else:
                accepted += [(position, items)] if items else []
        if not accepted or group.share is None:
            return GroupOutcome(results)
        try:
            record = self._commit(group.share, head, [item for _, items in accepted for item in items])
        except ServiceError as error:
            self.forget(share_id)
            for position, _ in accepted:
                results[position] = error
            return GroupOutcome(results)
        end = record.first - 1
        for position, items in accepted:
            end += len(items)
            results[position] = Commit(end, len(items))
        return GroupOutcome(results, self._announcement(group, record))

    def look(self, share_id: ShareId) -> Head:
        """Return a share and its viewers as they are now. The share is known from then on (``tails.py``)."""
        read_at = self._tails.now()
        head = self._store.head(share_id, self._tails.position(share_id))
        self._appending.learn(head)
        if head.share is None or is_over(head.share):
            self.forget(share_id)
        else:
            self._tails.know(head.share, head.viewers, read_at)
        return head

    def forget(self, share_id: ShareId) -> None:
        """Read the share's row again before the next commit, because it was changed."""
        self._tails.forget(share_id)

    def _admitted(self, share_id: ShareId, group: _Group, publication: Publication) -> list[Item]:
        """Return the items of a publication as they are stored. Raises the errors of :meth:`Publishing.sync`."""
        session = self._session(share_id, group, publication)
        share = existing(self._store, share_id, group.share)
        if group.rules is None:
            group.rules = self._share_access.publishing_rules(share)
        if not publication.items:
            return []
        self._count(share, publication.address, publication.items)
        # Conceal before anything reads or stores the items: no row, title or object holds a session id or a secret.
        items = conceal(publication.items, session, publication.secret)
        items = self._redaction.apply(share, items, publication.at, group.rules)
        self._appending.note_title(share, items)
        return [msgspec.structs.replace(item, at=publication.at) for item in items]

    def _session(self, share_id: ShareId, group: _Group, publication: Publication) -> SealedSession:
        """Check the secret of a publication and return its session. A secret is unsealed once for each read row."""
        claims = publication.actor is not None and (group.share is None or group.share.ownership is None)
        known = group.sessions.get(publication.secret)
        if known is not None and not claims:
            return known
        share, session = self._opened(
            share_id, group.share, publication.secret, publication.actor, claims=bool(publication.items)
        )
        if share is not group.share:  # it was claimed
            group.share, group.rules, group.sessions = share, None, {}
        if not share.needs_login:
            group.sessions[publication.secret] = session
        return session

    def _commit(self, share: Share, head: Head, items: list[Item]) -> Record:
        at = max(item.at for item in items)
        _, tail, end = self._appending.append(share, head, items, at, same_writers(share))
        log.count("CommitCount")
        log.count("ItemCount", len(items))
        log.size("ByteCount", sum(len(item.data) for item in items))
        return record_of(numbered(items, tail), tail, end, at)

    def _announcement(self, group: _Group, record: Record) -> Announcement | None:
        if group.share is None or group.rules is None:
            return None
        end = Position(record.last, record.total)
        # An earlier item of the group does not make its key stale: all of them are sent, in order.
        latest = {item.key: item for item in record.items}
        stale = self._tails.advance(group.share.id, end, record.items).stale(latest.values())
        return Announcement(group.share, record, stale, group.rules.mode)
