"""What is known of one call while it runs, and the usage event that it becomes."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.catalogue.models import Model, Price
from opencode_cloud.catalogue.pricing import cost
from opencode_cloud.contracts.ids import CallId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.usage import Outcome, Tokens, UsageEvent
from opencode_cloud.gateway.models import Incoming, UpstreamRefused, UpstreamTarget
from opencode_cloud.gateway.service import token_bounds
from opencode_cloud.kit.errors import ServiceError

if TYPE_CHECKING:
    from opencode_cloud.access.service.inference import Caller
    from opencode_cloud.contracts.budgets import Reservation
    from opencode_cloud.gateway.formats import ParsedRequest, StreamRelay

OK = 200
CLIENT_CLOSED = 499
"""What nginx and others log for a client that went away; nobody gets it."""


@dataclass(kw_only=True)
class CallState:
    """One call that is admitted."""

    incoming: Incoming
    caller: Caller
    parsed: ParsedRequest
    model: Model
    price: Price
    catalogue: int
    targets: list[UpstreamTarget]
    reservation: Reservation
    started: float = field(default_factory=time.monotonic)

    target: UpstreamTarget | None = None
    attempts: int = 0
    accepted: bool = False
    """Whether an upstream has begun to answer: from then on it has used something."""
    reported: Tokens | None = None
    """What the upstream said it used."""
    generated: int = 0
    """Bytes of text that were generated."""
    relay: StreamRelay | None = None
    """What carries the stream, once there is one."""
    complete: bool = False
    first_byte: float | None = None
    status: int = OK
    error: str = ""
    outcome: Outcome = Outcome.COMPLETED

    @property
    def id(self) -> str:
        """The call's id."""
        return self.reservation.id

    def elapsed(self) -> float:
        """Return the seconds since the call was admitted."""
        return time.monotonic() - self.started

    def failed(self, error: ServiceError) -> None:
        """Note how the call ended."""
        self.status, self.error = int(error.status), error.code
        if isinstance(error, UpstreamRefused):
            self.outcome = Outcome.REFUSED
        else:
            self.outcome = Outcome.INTERRUPTED if self.accepted else Outcome.FAILED

    def cancelled(self) -> None:
        """Note that the client went away."""
        self.status, self.error, self.outcome = CLIENT_CLOSED, "client_closed", Outcome.CANCELLED

    def broke(self) -> None:
        """Note that we failed ourselves."""
        self.status, self.error = 500, "internal_error"
        self.outcome = Outcome.INTERRUPTED if self.accepted else Outcome.FAILED

    def used(self) -> tuple[Tokens, bool]:
        """Return what the call used, and whether some of it is our own estimate."""
        if not self.accepted:
            return Tokens(), False
        if self.reported is not None and self.complete and (self.reported.total or not self.generated):
            return self.reported, False  # a server that says 0 of an answer with text does not count
        known = self.reported or Tokens()
        output = max(known.output, token_bounds.estimated_output(self.generated))
        if known.prompt:
            return msgspec.structs.replace(known, output=output), True
        prompt = token_bounds.estimated_prompt(self.parsed, self.model)
        return msgspec.structs.replace(known, input=prompt, output=output), True

    def event(self) -> UsageEvent:
        """Return the usage event, as far as it is known by now."""
        tokens, estimated = self.used()
        price = cost(self.price, tokens)
        incoming, caller, target = self.incoming, self.caller, self.target
        return UsageEvent(
            id=CallId(self.id),
            at=incoming.at,
            workspace_id=caller.workspace.id,
            member_id=caller.member.id if caller.member else MemberId(""),
            account_id=caller.actor.account_id,
            service_account_id=caller.service_account.id if caller.service_account else ServiceAccountId(""),
            key_id=caller.actor.key_id,
            model=self.model.id,
            upstream=target.id if target else "",
            upstream_model=target.model if target else "",
            format=incoming.format,
            streamed=self.parsed.stream,
            byok=self._byok,
            tokens=tokens,
            estimated=estimated,
            cost=price,
            charged=0 if self._byok else price,
            reserved=self.reservation.claim.cost,
            price=self.price.version,
            catalogue=self.catalogue,
            first_byte_ms=None if self.first_byte is None else round(self.first_byte * 1000),
            total_ms=round(self.elapsed() * 1000),
            attempts=self.attempts,
            outcome=self.outcome,
            status=self.status,
            error=self.error,
            session=pseudonym(caller.workspace.id, incoming.session),
            request=incoming.client_request[:64],
            correlation_id=incoming.request.correlation_id,
            metadata=dict(incoming.metadata) if caller.workspace.metadata_days else {},
        )

    @property
    def _byok(self) -> bool:
        return bool(self.targets) and self.targets[0].byok


def pseudonym(workspace_id: WorkspaceId, session: str) -> str:
    """Return what stands for a client's session in usage: the id itself lets whoever knows it take over a share.

    A hash suffices, since a session id has 83 random bits (docs/protocol.md, "Identifiers").
    """
    if not session:
        return ""
    return "ses_" + hashlib.sha256(f"{workspace_id}/{session}".encode()).hexdigest()[:26]
