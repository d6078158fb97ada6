"""The event that records one model call, shared by the gateway, budgets and usage."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import AccountId, CallId, KeyId, MemberId, ServiceAccountId, WorkspaceId


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tokens of a call. ``input``, ``cache_read``, ``cache_write`` and ``cache_write_1h`` do not overlap.

    The counts of sound are parts of the counts that they name. SQL does not keep them (docs/decisions/066).
    """

    input: int = 0
    """Tokens of the prompt, neither read from a cache nor written to one."""
    output: int = 0
    """All generated tokens, including reasoning."""
    reasoning: int = 0
    """The part of ``output`` that was reasoning."""
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    output_audio: int = 0

    @property
    def prompt(self) -> int:
        """Return all tokens of the prompt."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total(self) -> int:
        """Return all tokens."""
        return self.prompt + self.output


class Outcome(StrEnum):
    """The result of a call."""

    COMPLETED = "completed"
    REFUSED = "refused"
    """The upstream refused the request (4xx); nothing was generated."""
    FAILED = "failed"
    """No upstream gave a usable answer before the first byte."""
    INTERRUPTED = "interrupted"
    """The upstream broke off, stalled or sent invalid data after the first byte."""
    CANCELLED = "cancelled"
    """The client disconnected."""
    LOST = "lost"
    """The serving process died. The reservation was returned when the lease ended; the cost is not known."""


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The usage of one model call. Times are milliseconds since the epoch, durations milliseconds, amounts micro-cents.

    Default values are not stored, since rows are charged by the kilobyte. A default must therefore never change.
    """

    id: CallId
    """Id of the call: ``call_`` and a ULID. Each id is counted once."""
    at: int
    """The time of the call's arrival."""
    workspace_id: WorkspaceId
    member_id: MemberId = MemberId("")
    account_id: AccountId = AccountId("")
    service_account_id: ServiceAccountId = ServiceAccountId("")
    key_id: KeyId = KeyId("")
    model: str = ""
    """The catalogue's id of the model, not an alias."""
    requested_model: str = ""
    """The model that the client asked for, if ``model`` served in its place."""
    fallback: str = ""
    """The reason for which ``model`` served in its place (``FallbackReason``); empty: it did not."""
    upstream: str = ""
    """The upstream that answered last; empty when none was reached."""
    upstream_model: str = ""
    format: str = ""
    """The API format of the client's request."""
    streamed: bool = False
    byok: bool = False
    tokens: Tokens = Tokens()
    estimated: bool = False
    """True if the upstream never reported usage, so that the gateway counted the tokens itself."""
    cost: int = 0
    """The cost by the price in force at the call's arrival, regardless of the payer."""
    charged: int = 0
    """The part of ``cost`` that counts against the prepaid balance: 0 with the workspace's own credential."""
    reserved: int = 0
    """The worst-case cost that was reserved during the call."""
    price: str = ""
    """Version of the price."""
    catalogue: int = 0
    """Version of the catalogue."""
    first_byte_ms: int | None = None
    total_ms: int = 0
    attempts: int = 0
    """The number of upstream requests."""
    outcome: str = Outcome.COMPLETED
    status: int = 0
    """The HTTP status of the answer to the client."""
    error: str = ""
    """Code of the error in the answer to the client; empty: none."""
    project: str = ""
    """The project that the client named; empty: it named none, or not in the form of ``contracts.projects``."""
    agent: str = ""
    """The name of the client's program, such as ``claude-code``; empty: it is unknown."""
    session: str = ""
    """The client's session, as a pseudonym that only this workspace's events share."""
    request: str = ""
    """The client's own id of the request (the user message that it belongs to)."""
    correlation_id: str = ""
    """The correlation id of the call in the logs."""
    metadata: dict[str, str] = {}
    """Client, user agent, address: present only if the workspace's setting keeps them."""


class SettledEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event, with the counters that it was settled on."""

    event: UsageEvent
    counters: tuple[str, ...] = ()
    """Keys of budget counters."""
