"""Creating shares and committing to their logs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.clock import now_ms, now_seconds
from opencode_cloud.kit.ids import new_share_id, pseudonym_of
from opencode_cloud.sharing import capability
from opencode_cloud.sharing.items import conceal
from opencode_cloud.sharing.models import (
    SESSION_ID,
    Commit,
    Credentials,
    Item,
    Position,
    Record,
    Share,
    State,
    contended,
    invalid_session_id,
    share_not_found,
    too_many_creates,
)
from opencode_cloud.sharing.service.access import is_over, readable, writable
from opencode_cloud.sharing.service.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.store import Head, ShareStore

CREATE_WINDOW_SECONDS = 60
CONTENTION_SECONDS = 12  # within the gateway's timeout of 29 s
_CREATE_ATTEMPTS = 5


class Publishing:
    """What a publisher may do.

    ``session_key`` gives the deployment's key for session hashes and secrets; ``lifetime_seconds`` is how long a new
    share lives (0 = until it is removed); ``creates_per_minute`` limits one address (0 = no limit).
    """

    def __init__(
        self,
        store: ShareStore,
        fan_out: FanOut,
        session_key: Callable[[], str],
        *,
        lifetime_seconds: int = 0,
        creates_per_minute: int = 0,
    ) -> None:
        self._store = store
        self._fan_out = fan_out
        self._session_key = session_key
        self._lifetime_seconds = lifetime_seconds
        self._creates_per_minute = creates_per_minute
        self._tails = Tails()

    def create(self, session_id: str, address: str) -> Credentials:
        """Return the session's share, made if it has none: idempotent, also for two calls at once (design D5).

        Raises ``invalid_session_id`` (400) or ``too_many_creates`` (429, for new shares only).
        """
        if not SESSION_ID.fullmatch(session_id):
            raise invalid_session_id()
        key = self._session_key()
        session_hash = capability.session_hash(key, session_id)
        for attempt in range(_CREATE_ATTEMPTS):
            held = self._store.share_of(session_hash)
            if held is not None and self._is_active(held):
                return Credentials(held, capability.share_secret(key, held, session_id))
            if attempt == 0:
                self._limit_creates(address)
            share, secret = self._new_share(key, session_id, session_hash)
            if self._store.create(share, replaces=held):
                return Credentials(share.id, secret)
        raise contended()

    def share_of(self, session_id: str) -> str:
        """Return the share of a session, as the legacy protocol names it; raises ``share_not_found`` (404)."""
        share_id = self._store.share_of(capability.session_hash(self._session_key(), session_id))
        if share_id is None:
            raise share_not_found()
        return share_id

    def sync(self, share_id: str, secret: str, items: Sequence[Item], at: int) -> Commit:
        """Commit a batch as the next record of the share's log and push it to its viewers.

        ``at`` is when the gateway received the batch (milliseconds). On return the batch is durable and visible to
        every later read (invariant I1). An empty batch commits nothing. Raises ``share_not_found``, ``share_gone``,
        ``missing_secret``, ``wrong_secret``, or ``contended`` (503) with nothing stored.
        """
        head = self._store.head(share_id, self._tails.position(share_id))
        share = writable(self._store, share_id, head.share, secret)
        if not items:
            return Commit(head.tail.seq, 0)
        items = conceal(items, capability.unseal(secret, share), share.pseudonym)
        head, tail, end = self._append(share, head, items, at)
        numbered = tuple(
            msgspec.structs.replace(item, seq=tail.seq + 1 + offset, at=at) for offset, item in enumerate(items)
        )
        record = Record(first=tail.seq + 1, last=end.seq, at=at, total=end.total, items=numbered)
        stale = self._tails.advance(share_id, end, numbered).stale(numbered)
        log.count("CommitCount")
        log.count("ItemCount", len(items))
        log.size("ByteCount", sum(len(item.data) for item in items))
        self._fan_out.commit(share, record, head.viewers, stale)
        return Commit(end.seq, len(items))

    def _append(self, share: Share, head: Head, items: Sequence[Item], at: int) -> tuple[Head, Position, Position]:
        """Append behind the end of the log, again when another writer was first; return its end before and after."""
        payload = self._store.prepare(share.id, items)
        deadline = time.monotonic() + CONTENTION_SECONDS
        attempt = 0
        while True:
            self._learn(head)
            end = self._store.append(share.id, head.tail, at, payload)
            if end is not None:
                return head, head.tail, end
            if time.monotonic() > deadline:
                raise contended()
            time.sleep(random.uniform(0, min(0.04, 0.002 * 2**attempt)))  # noqa: S311 - jitter
            attempt += 1
            head = self._store.head(share.id, head.tail)
            readable(self._store, share.id, head.share)

    def _learn(self, head: Head) -> None:
        if head.share is not None:
            self._tails.advance(head.share.id, head.tail, (item for record in head.records for item in record.items))

    def _is_active(self, share_id: str) -> bool:
        share = self._store.share(share_id)
        return share is not None and not is_over(share)

    def _new_share(self, key: str, session_id: str, session_hash: str) -> tuple[Share, str]:
        share_id = new_share_id()
        secret = capability.share_secret(key, share_id, session_id)
        share = Share(
            id=share_id,
            state=State.ACTIVE,
            session_hash=session_hash,
            secret_hash=capability.secret_hash(secret),
            sealed_session=capability.seal(secret, share_id, session_id),
            pseudonym=pseudonym_of(session_id),
            created_at=now_ms(),
            expires_at=now_seconds() + self._lifetime_seconds if self._lifetime_seconds else None,
            hint=Position(),
        )
        return share, secret

    def _limit_creates(self, address: str) -> None:
        if not self._creates_per_minute:
            return
        now = now_seconds()
        used = self._store.count(f"create#{address}", now // CREATE_WINDOW_SECONDS, CREATE_WINDOW_SECONDS)
        if used > self._creates_per_minute:
            raise too_many_creates(CREATE_WINDOW_SECONDS - now % CREATE_WINDOW_SECONDS)
