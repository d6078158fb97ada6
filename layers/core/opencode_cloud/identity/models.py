"""The models of identity: people, their sessions, pending codes, and errors."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId


class SessionKind(StrEnum):
    """The kind of holder of a session."""

    WEB = "web"
    """A browser, authenticated by a cookie."""
    DEVICE = "device"
    """A client, authenticated by an access token and a refresh token."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A person's login session. Times are seconds since the epoch."""

    id: SessionId
    account_id: AccountId
    kind: str
    client: str = ""
    """The OAuth client; empty for a browser."""
    created_at: int
    seen_at: int
    """The last recorded use: a browser's by the hour, a client's at each refresh."""
    expires_at: int
    address: str = ""
    user_agent: str = ""
    refresh: str = ""
    """SHA-256 of the current refresh token."""
    previous: str = ""
    """SHA-256 of the previous refresh token."""
    rotated_at: int = 0
    workspace_id: WorkspaceId = WorkspaceId("")
    """The workspace that a person chose for a client of the second generation; empty without a choice."""


class DeviceState(StrEnum):
    """The state of a device's request."""

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
    """Seconds between polls. Grows when the client polls faster."""
    polled_at: int = 0
    """The time of the last poll, in milliseconds since the epoch."""
    created_at: int
    expires_at: int
    address: str = ""
    user_agent: str = ""
    """The client's User-Agent; empty if it sends none. A row omits empty texts, so both fields need a default."""
    wants_workspace: bool = False
    """True if the client can act in the one workspace that the person chooses."""
    workspace_id: WorkspaceId = WorkspaceId("")
    """The chosen workspace; empty without a choice."""
    through_edge: bool = False
    """True if the request came through the CDN. The page never vouches for the address of one that did not."""
    account_id: AccountId = AccountId("")


class AuthorizationCode(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization code, identified by its SHA-256, and the values that it was issued for."""

    id: str
    client: str
    redirect_uri: str
    scope: str = ""
    challenge: str
    account_id: AccountId
    expires_at: int
    session_id: SessionId = SessionId("")
    """The session that the code was exchanged for."""


class LoginState(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in in progress at a provider, identified by the SHA-256 of ``state``."""

    id: str
    provider: str
    browser: str
    """SHA-256 of the cookie of the browser that began the sign-in."""
    proceed: str
    """The path to redirect to after the sign-in."""
    expires_at: int


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code that was sent by e-mail."""

    id: str
    email: str
    browser: str
    proceed: str
    attempts: int
    expires_at: int


class KnownNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A network from which a person signed in by a mailed code. ``id`` is a keyed hash of both."""

    id: str
    expires_at: int


class VerifiedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person as a login method reports them. The method has verified the address."""

    provider: str
    subject: str
    """The provider's stable id of the person."""
    email: str
    name: str = ""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person's account."""

    id: AccountId
    email: str
    name: str = ""
    blocked: bool = False
