"""Login sessions: beginning, refreshing, listing and ending them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.access.credentials import session_of_cookie
from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.identity.models import Session, SessionKind
from opencode_cloud.identity.service.refresh import RefreshTokens, Verdict, hash_of, judge
from opencode_cloud.identity.service.tokens import ACCESS_TOKEN_SECONDS
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.parallel import pool

if TYPE_CHECKING:
    from concurrent.futures import Future

    from opencode_cloud.identity.service.tokens import AccessTokens
    from opencode_cloud.identity.store.sessions import SessionsStore

WEB_IDLE_SECONDS = 7 * DAY_SECONDS
WEB_SECONDS = 30 * DAY_SECONDS
"""A browser must sign in again after this time, regardless of its use."""
DEVICE_IDLE_SECONDS = 90 * DAY_SECONDS
"""A device stays signed in as long as it refreshes within this time."""
NOTED_EVERY_SECONDS = 3600
"""The precision, in seconds, of the last use of a browser."""
_ATTEMPTS = 3
_SHOWN = 300  # characters of a User-Agent that are stored


class Origin(msgspec.Struct, frozen=True):
    """The origin of a request, as people are shown it."""

    address: str
    user_agent: str
    through_edge: bool = False
    """True if the CDN named the address."""


class Issued(msgspec.Struct, frozen=True):
    """The tokens issued to a device."""

    session_id: SessionId
    access_token: str
    refresh_token: str
    expires_in: int
    workspace_id: WorkspaceId
    """The workspace that the person chose for the device; empty without a choice."""


class Sessions:
    """The rules of sessions. An end takes effect at once, since every use of a token or cookie looks its session up."""

    def __init__(
        self,
        store: SessionsStore,
        tokens: AccessTokens,
        key: Callable[[], str],
        note_replay: Callable[[Session], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._refresh = RefreshTokens(key)
        self._note_replay = note_replay

    def begin_web(self, cookie: str, account_id: AccountId, origin: Origin) -> Session:
        """Begin the session of a browser with the cookie value ``cookie``, which must be new and random."""
        now = now_seconds()
        session = Session(
            id=SessionId(session_of_cookie(cookie)),
            account_id=account_id,
            kind=SessionKind.WEB,
            created_at=now,
            seen_at=now,
            expires_at=now + WEB_IDLE_SECONDS,
            address=origin.address,
            user_agent=origin.user_agent[:_SHOWN],
        )
        self._store.add(session)
        return session

    def note_use(self, session_id: SessionId) -> None:
        """Extend the lifetime of a browser's session, since it is used. The use is recorded once an hour."""
        session = self._store.get(session_id)
        if session and now_seconds() - session.seen_at >= NOTED_EVERY_SECONDS:
            # Use extends the session, but not past the time at which the browser must sign in again.
            ends = min(now_seconds() + WEB_IDLE_SECONDS, session.created_at + WEB_SECONDS)
            self._store.note_use(session, ends)

    def begin_device(
        self,
        issuer: str,
        client: str,
        account_id: AccountId,
        origin: Origin,
        session_id: SessionId | None = None,
        workspace_id: WorkspaceId = WorkspaceId(""),
    ) -> Issued:
        """Begin the session of a device, with the workspace chosen for it, and issue its tokens."""
        now = now_seconds()
        session_id = session_id or SessionId(new_id("sid"))
        refresh_token = self._refresh.first(session_id)
        session = Session(
            id=session_id,
            account_id=account_id,
            kind=SessionKind.DEVICE,
            client=client,
            created_at=now,
            seen_at=now,
            expires_at=now + DEVICE_IDLE_SECONDS,
            address=origin.address,
            user_agent=origin.user_agent[:_SHOWN],
            refresh=hash_of(refresh_token),
            rotated_at=now,
            workspace_id=workspace_id,
        )
        self._store.add(session)
        return self._issue(issuer, session, refresh_token)

    def read_ahead(self, token: str) -> Future[Session | None] | None:
        """Begin to read the session of a refresh token; None for a token that this deployment did not write."""
        session_id = self._refresh.session(token)
        return pool().submit(self._store.get, session_id) if session_id else None

    def of_refresh_token(self, token: str, reading: Future[Session | None] | None = None) -> Session | None:
        """Return the session of a refresh token that may be used now.

        A token that was replaced longer ago than the grace period ends its session. ``reading`` is the result of
        :meth:`read_ahead` for the token.
        """
        reading = reading or self.read_ahead(token)
        session = reading.result() if reading else None
        if session is None or session.expires_at <= now_seconds():
            return None
        if judge(session, hash_of(token), now_seconds()) is Verdict.REPLAY:
            self._end_replayed(session)
            return None
        return session

    def refresh(self, issuer: str, token: str, found: Session | None = None) -> Issued | None:
        """Exchange a refresh token for new ones; None when it is not, or no longer, valid.

        ``found`` is the session that :meth:`of_refresh_token` has just returned for the token.
        """
        # When another process rotates first, the next judgement is REPEAT, which yields the same successor.
        for _ in range(_ATTEMPTS):
            session, found = found or self.of_refresh_token(token), None
            if session is None:
                return None
            successor = self._refresh.successor(token)
            if judge(session, hash_of(token), now_seconds()) is Verdict.REPEAT:
                return self._issue(issuer, session, successor)
            ends = now_seconds() + DEVICE_IDLE_SECONDS
            # KMS signs during the rotation. If another process was first, the token is thrown away.
            issued = pool().submit(self._issue, issuer, session, successor)
            if self._store.rotate(session, hash_of(token), hash_of(successor), ends):
                return issued.result()
        return None

    def find(self, token: str) -> Session | None:
        """Return the session of an access or refresh token, for revocation. A replayed token finds it too."""
        session_id = self._refresh.session(token) or self._tokens.session(token)
        return self._store.get(SessionId(session_id)) if session_id else None

    def of_account(self, account_id: AccountId) -> list[Session]:
        """Return the present sessions of a person, latest use first."""
        return self._store.of_account(account_id)

    def end(self, session_id: SessionId) -> None:
        """End a session."""
        self._store.end(session_id)

    def end_own(self, account_id: AccountId, session_id: SessionId) -> bool:
        """End one of a person's own sessions; False when the person has no session with this id."""
        session = self._store.get(session_id)
        if session is None or session.account_id != account_id:
            return False
        self._store.end(session_id)
        return True

    def end_all(self, account_id: AccountId) -> int:
        """End all sessions of a person. Return their number."""
        return self._store.end_all(account_id)

    def _issue(self, issuer: str, session: Session, refresh_token: str) -> Issued:
        access = self._tokens.issue(issuer, session.account_id, session.id, session.client)
        return Issued(session.id, access, refresh_token, ACCESS_TOKEN_SECONDS, session.workspace_id)

    def _end_replayed(self, session: Session) -> None:
        logger.warning(
            "a refresh token came back: its session is ended",
            extra={"account": session.account_id, "at": session.address},
        )
        count("RefreshReplays")
        self._store.end(session.id)
        self._note_replay(session)
