"""The nouns of identity: people, their sessions, codes that are on their way, and errors."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import AccountId, SessionId


class SessionKind(StrEnum):
    """What holds a session."""

    WEB = "web"
    """A browser, by cookie."""
    DEVICE = "device"
    """A client, by access and refresh token."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is signed in. Times are seconds since the epoch."""

    id: SessionId
    account_id: AccountId
    kind: str
    client: str = ""
    """The OAuth client; empty for a browser."""
    created_at: int
    seen_at: int
    """The last use that was noted: browsers' by the hour, clients' at each refresh."""
    expires_at: int
    address: str = ""
    user_agent: str = ""
    refresh: str = ""
    """SHA-256 of the refresh token that is valid now."""
    previous: str = ""
    """SHA-256 of the one before it."""
    rotated_at: int = 0


class DeviceState(StrEnum):
    """What became of a device's request."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A client that waits for a person's approval. ``id`` is the SHA-256 of its device code."""

    id: str
    client: str
    scope: str = ""
    state: str
    interval: int
    """Seconds between polls; grows when the client polls faster."""
    polled_at: int = 0
    """Milliseconds since the epoch."""
    created_at: int
    expires_at: int
    address: str = ""
    user_agent: str = ""
    """Empty for a client that does not say what it is. A row leaves empty texts out, so both need a default."""
    account_id: AccountId = AccountId("")


class AuthorizationCode(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization code, by its SHA-256, and what it was given for."""

    id: str
    client: str
    redirect_uri: str
    scope: str = ""
    challenge: str
    account_id: AccountId
    expires_at: int
    session_id: SessionId = SessionId("")
    """The session that it was exchanged for."""


class LoginState(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that is under way at a provider, by the SHA-256 of ``state``."""

    id: str
    provider: str
    browser: str
    """SHA-256 of the cookie of the browser that began it."""
    proceed: str
    """The path to go on to."""
    expires_at: int


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code that was sent by e-mail."""

    id: str
    email: str
    browser: str
    proceed: str
    attempts: int
    expires_at: int


class VerifiedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who a login method says that somebody is; the address is verified by it."""

    provider: str
    subject: str
    """Stable at the provider."""
    email: str
    name: str = ""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person's account."""

    id: AccountId
    email: str
    name: str = ""
    blocked: bool = False
