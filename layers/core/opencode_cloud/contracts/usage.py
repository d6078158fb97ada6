"""The event that records one model call, shared by the gateway, budgets and usage."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import AccountId, CallId, KeyId, MemberId, ServiceAccountId, WorkspaceId


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a call used; no token is in two of ``input``, ``cache_read``, ``cache_write``, ``cache_write_1h``."""

    input: int = 0
    """Of the prompt, neither read from a cache nor written to one."""
    output: int = 0
    """All that was generated, reasoning too."""
    reasoning: int = 0
    """The part of ``output`` that was reasoning."""
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt + self.output


class Outcome(StrEnum):
    """How a call ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    """The upstream refused the request (4xx); nothing was generated."""
    FAILED = "failed"
    """No upstream answered usefully, before the first byte."""
    INTERRUPTED = "interrupted"
    """The upstream broke off, stalled or sent garbage after the first byte."""
    CANCELLED = "cancelled"
    """The client went away."""
    LOST = "lost"
    """The process that served it died; its reservation was returned when the lease ended, its cost is not known."""


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one model call used. Times are milliseconds since the epoch, durations milliseconds, amounts micro-cents.

    What says nothing is not stored: rows are charged by the kilobyte. So a default never changes.
    """

    id: CallId
    """Of the call: ``call_`` and a ULID. Each id is counted once."""
    at: int
    """When the call arrived."""
    workspace_id: WorkspaceId
    member_id: MemberId = MemberId("")
    account_id: AccountId = AccountId("")
    service_account_id: ServiceAccountId = ServiceAccountId("")
    key_id: KeyId = KeyId("")
    model: str = ""
    """The catalogue's id, not an alias."""
    upstream: str = ""
    """Which answered last; empty when none was reached."""
    upstream_model: str = ""
    format: str = ""
    """In which the client asked."""
    streamed: bool = False
    byok: bool = False
    tokens: Tokens = Tokens()
    estimated: bool = False
    """Whether the upstream never said what was used, so that tokens were counted by us."""
    cost: int = 0
    """By the price in force when the call arrived, whoever pays."""
    charged: int = 0
    """What of it counts against the prepaid balance: nothing with the workspace's own credential."""
    reserved: int = 0
    """The worst case that was held back meanwhile."""
    price: str = ""
    """Version of the price."""
    catalogue: int = 0
    """Version of the catalogue."""
    first_byte_ms: int | None = None
    total_ms: int = 0
    attempts: int = 0
    """Upstream requests that were made."""
    outcome: str = Outcome.COMPLETED
    status: int = 0
    """The HTTP status that the client got."""
    error: str = ""
    """Code of the error that the client got; empty: none."""
    session: str = ""
    """The client's session, as a pseudonym that only this workspace's events share."""
    request: str = ""
    """The client's own id of the request (the user message that it belongs to)."""
    correlation_id: str = ""
    """Under which the logs know the call."""
    metadata: dict[str, str] = {}
    """Client, user agent, address: only where the workspace's setting keeps them."""
