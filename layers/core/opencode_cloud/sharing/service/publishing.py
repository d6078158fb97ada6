"""Creating shares and committing to their logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import ClientSessionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import now_ms, now_seconds
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.networks import network_of
from opencode_cloud.sharing.models import (
    SESSION_ID,
    Commit,
    Item,
    Position,
    RedactionMode,
    Share,
    ShareCredentials,
    State,
    anonymous_sharing_off,
    contended,
    invalid_session_id,
    too_many_creates,
)
from opencode_cloud.sharing.protocol import capability
from opencode_cloud.sharing.protocol.capability import SealedSession, is_secret_of
from opencode_cloud.sharing.protocol.concealment import conceal
from opencode_cloud.sharing.protocol.ids import new_share_id, pseudonym_of
from opencode_cloud.sharing.service.access import check_secret, existing, is_over, writable
from opencode_cloud.sharing.service.appending import Appending, WritersChanged, numbered, record_of, same_writers
from opencode_cloud.sharing.service.owning import owner_of
from opencode_cloud.sharing.service.quotas import AnonymousLimits, AnonymousQuotas
from opencode_cloud.sharing.service.redaction import SecretRedaction
from opencode_cloud.sharing.service.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.sharing.service.access import ShareAccess
    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.service.owning import Owning
    from opencode_cloud.sharing.store import Head, ShareStore

CREATE_WINDOW_SECONDS = 60
NO_LIMITS = AnonymousLimits()
_CREATE_ATTEMPTS = 5
CHECKS = 3
"""How often a batch is checked while the owner or the secret of its share changes."""


class _Naming:
    """The derivations of one publisher's share of a session."""

    def __init__(self, key: str, publisher: capability.Publisher, session_id: ClientSessionId) -> None:
        self._key = key
        self._publisher = publisher
        self.session = capability.SealedSession(session_id, capability.pseudonym_key(key))
        self.session_hash = capability.session_hash(key, publisher, session_id)
        self.family = capability.family_of(key, publisher)

    def secret(self, share_id: ShareId) -> str:
        """Return the secret of a share of this session."""
        return capability.share_secret(self._key, self._publisher, share_id, self.session.session_id)

    def sealed(self, share: Share, secret: str) -> Share:
        """Return ``share`` with a new secret, which counts without a login."""
        return msgspec.structs.replace(
            share,
            secret_hash=capability.secret_hash(secret),
            sealed_session=capability.seal(secret, share.id, self.session),
            needs_login=False,
        )


class Publishing:
    """The operations of publishers.

    ``session_key`` returns the deployment's key for session hashes and secrets. A sync needs it only to give a share an
    owner. ``lifetime_seconds`` is the lifetime of a new share (0 = until it is removed). ``creates_per_minute`` limits
    one address (0 = no limit). ``anonymous`` says whether shares may have no owner, ``limits`` what these may take, and
    ``redaction`` how secrets in them are treated.
    """

    def __init__(
        self,
        store: ShareStore,
        fan_out: FanOut,
        share_access: ShareAccess,
        owning: Owning,
        session_key: Callable[[], str],
        *,
        lifetime_seconds: int = 0,
        creates_per_minute: int = 0,
        anonymous: bool = True,
        limits: AnonymousLimits = NO_LIMITS,
        redaction: RedactionMode = RedactionMode.ON,
    ) -> None:
        self._store = store
        self._fan_out = fan_out
        self._share_access = share_access
        self._owning = owning
        self._session_key = session_key
        self._lifetime_seconds = lifetime_seconds
        self._creates_per_minute = creates_per_minute
        self._anonymous = anonymous
        self._quotas = AnonymousQuotas(store, limits)
        self._redaction = SecretRedaction(store, redaction)
        self._remember(Tails())

    def _remember(self, tails: Tails) -> None:
        """Keep what is known of the ends of logs in ``tails``."""
        self._tails = tails
        self._appending = Appending(self._store, tails)

    def create(self, session_id: ClientSessionId, address: str, actor: Actor | None = None) -> ShareCredentials:
        """Return the publisher's share of the session; create it if the publisher has none.

        The publisher is the ``actor`` or, without one, the network of ``address``. Another publisher's share of the
        session is never found. Idempotent, also for two concurrent calls (docs/decisions/005). Raises
        ``invalid_session_id`` (400); ``too_many_creates`` (429, for new shares only); ``login_to_share``,
        ``sharing_off`` or ``owner_has_left`` (403).
        """
        if not re.fullmatch(SESSION_ID, session_id):
            raise invalid_session_id()
        terms = self._owning.terms(actor) if actor else None
        if not terms and not self._anonymous:
            raise anonymous_sharing_off()
        publisher = terms.publisher if terms else capability.network_publisher(network_of(address))
        naming = _Naming(self._session_key(), publisher, session_id)
        for attempt in range(_CREATE_ATTEMPTS):
            share_id = self._store.share_of(naming.session_hash)
            current = self._store.share(share_id) if share_id is not None else None
            # A share that was claimed has another hash: it belongs to the session of its owner alone.
            if current is not None and current.session_hash == naming.session_hash and not is_over(current):
                if (credentials := self._continued(current, naming)) is not None:
                    return credentials
                continue
            # Count one creation against the limit, however often the loop retries.
            if attempt == 0:
                self._limit_creates(address)
            share, secret = self._new_share(naming)
            if terms:
                share = self._owning.owned(share, terms)
            # One of two concurrent calls creates it. The other one finds that share in its next round.
            if self._store.create(share, replaces=share_id):
                if terms:
                    self._owning.record_new(share, terms)
                return ShareCredentials(share.id, secret)
        raise contended()

    def _continued(self, share: Share, naming: _Naming) -> ShareCredentials | None:
        """Return the credentials of a session's present share; None if it changed meanwhile.

        After a claim this replaces the secret, since the client stores this answer. Earlier holders are then refused.
        """
        self._share_access.publishing_rules(share)
        secret = naming.secret(share.id)
        if share.needs_login and not self._store.renew_secret(share, naming.sealed(share, secret)):
            return None
        return ShareCredentials(share.id, secret)

    def sync(
        self,
        share_id: ShareId,
        secret: str,
        items: Sequence[Item],
        at: int,
        actor: Callable[[], Actor] | None = None,
        address: str = "",
    ) -> Commit:
        """Commit a batch as the next record of the share's log and push it to its viewers.

        ``at`` is the time at which the gateway received the batch (milliseconds). On return the batch is durable and
        visible to every later read (invariant I1). An empty batch commits nothing. ``actor`` waits for the
        authenticated sender, if there is one, who becomes the owner of a share without one. ``address`` is the
        sender's, for the limits of shares without an owner. Raises the errors of :meth:`AnonymousQuotas.take`;
        ``share_not_found``, ``share_gone``, ``missing_secret``, ``wrong_secret``, ``owner_has_left``, ``sharing_off``,
        the errors of ``actor``, or ``contended`` (503) with nothing stored.
        """
        for _ in range(CHECKS):
            try:
                return self._sync(share_id, secret, items, at, actor, address)
            except WritersChanged:
                self._tails.forget(share_id)
        raise contended()

    def _sync(
        self,
        share_id: ShareId,
        secret: str,
        items: Sequence[Item],
        at: int,
        actor: Callable[[], Actor] | None,
        address: str,
    ) -> Commit:
        """Try :meth:`sync` once. Raises its errors, or ``WritersChanged`` with nothing stored."""
        head = self._known(share_id, [secret]) or self._store.head(share_id, self._tails.position(share_id))
        # Wait for authentication only now, since it runs while the log is read.
        share, session = self._opened(share_id, head.share, secret, actor() if actor else None, claims=bool(items))
        rules = self._share_access.publishing_rules(share)
        if not items:
            return Commit(self._end(share_id, head), 0)
        self._count(share, address, items)
        # Conceal before anything reads or stores the items: no row, title or object holds a session id or a secret.
        items = conceal(items, session, secret)
        items = self._redaction.apply(share, items, at, rules)
        self._appending.note_title(share, items)
        head, tail, end = self._appending.append(share, head, items, at, same_writers(share))
        record = record_of(numbered([msgspec.structs.replace(item, at=at) for item in items], tail), tail, end, at)
        stale = self._tails.advance(share_id, end, record.items).stale(record.items)
        log.count("CommitCount")
        log.count("ItemCount", len(items))
        log.size("ByteCount", sum(len(item.data) for item in items))
        committed_at = self._tails.now()
        following = self._fan_out.commit(share, record, head.viewers, stale, rules.mode)
        # A share that was removed meanwhile has taken nothing: the purge deletes the record (docs/decisions/006).
        existing(self._store, share_id, following.share)
        self._tails.know(following.share, following.viewers, committed_at)
        return Commit(end.seq, len(items))

    def _known(self, share_id: ShareId, secrets: Collection[str]) -> Head | None:
        """Return what a commit needs of a share that is known and accepts each of ``secrets``.

        A refusal needs the row as it is now: another process may have replaced the secret or moved the end.
        """
        head = self._tails.head(share_id)
        if head is None or head.share is None or is_over(head.share):
            return None
        return head if all(is_secret_of(head.share, secret) for secret in secrets) else None

    def _count(self, share: Share, address: str, items: Sequence[Item]) -> None:
        """Count a batch of a share without an owner. Raises the errors of :meth:`AnonymousQuotas.take`."""
        if share.ownership is not None:
            return
        try:
            self._quotas.take(share, address, items)
        except ServiceError:
            self._tails.forget(share.id)  # its row may tell of the refusal now
            raise

    def _opened(
        self, share_id: ShareId, share: Share | None, secret: str, sender: Actor | None, *, claims: bool
    ) -> tuple[Share, SealedSession]:
        """Return a share that ``sender`` may write, and its sealed session.

        ``claims`` says that the sender becomes the owner of a share without one. A record must follow: it makes the
        put of a process fail that does not know the claim yet.
        """
        sender_id = owner_of(sender) if sender else ""
        share = writable(self._store, share_id, share, secret, sender_id)
        session = capability.unseal(secret, share)
        if claims and sender and share.ownership is None:
            terms = self._owning.terms(sender)
            key = self._session_key()
            hashed = capability.session_hash(key, terms.publisher, session.session_id)
            share = self._owning.claim(share, terms, hashed, capability.family_of(key, terms.publisher))
            # Another sender may have claimed it first.
            check_secret(share, secret, sender_id)
        return share, session

    def _end(self, share_id: ShareId, head: Head) -> int:
        """Return the present end of a log, which other writers may have moved on from ``head``."""
        return self._store.head(share_id, head.tail).tail.seq

    def _new_share(self, naming: _Naming) -> tuple[Share, str]:
        share_id = ShareId(new_share_id())
        secret = naming.secret(share_id)
        share = Share(
            id=share_id,
            state=State.ACTIVE,
            session_hash=naming.session_hash,
            secret_hash=capability.secret_hash(secret),
            sealed_session=capability.seal(secret, share_id, naming.session),
            pseudonym=pseudonym_of(naming.session.pseudonym_key, naming.session.session_id),
            family=naming.family,
            created_at=now_ms(),
            expires_at=now_seconds() + self._lifetime_seconds if self._lifetime_seconds else None,
            hint=Position(),
        )
        return share, secret

    def _limit_creates(self, address: str) -> None:
        if not self._creates_per_minute:
            return
        count = self._store.count(f"create#{network_of(address)}", CREATE_WINDOW_SECONDS)
        if count.events > self._creates_per_minute:
            raise too_many_creates(count.reset)
