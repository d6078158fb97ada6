"""The state of one call while it runs, and the usage event that it becomes."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from opencode_cloud.catalogue.models import STANDARD_TIER, Model, Price
from opencode_cloud.catalogue.pricing import cost, table_of, unpriced_cost
from opencode_cloud.contracts.ids import CallId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.usage import Outcome, Tokens, UsageEvent
from opencode_cloud.gateway.formats import lifetimes
from opencode_cloud.gateway.models import Incoming, UpstreamRefused, UpstreamTarget
from opencode_cloud.gateway.service import token_bounds
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.errors import ServiceError

if TYPE_CHECKING:
    from opencode_cloud.access.service.inference import Caller
    from opencode_cloud.contracts.access import FallbackReason
    from opencode_cloud.contracts.budgets import Reservation
    from opencode_cloud.gateway.formats import ParsedRequest, StreamRelay

OK = 200
CLIENT_CLOSED = 499
"""Logged for a client that disconnected, as nginx does. It is never sent."""


class ModelPlan(NamedTuple):
    """How one model serves a call."""

    model: Model
    price: Price
    catalogue: int
    """Version of the catalogue."""
    unpriced_tier_percent: int
    targets: list[UpstreamTarget]
    least_output: int
    """The smallest limit of an answer (tokens) that its upstreams take."""
    reservation: Reservation


class CallState(msgspec.Struct, kw_only=True):
    """One admitted call."""

    incoming: Incoming
    caller: Caller
    parsed: ParsedRequest
    model: Model
    price: Price
    catalogue: int
    unpriced_tier_percent: int
    targets: list[UpstreamTarget]
    reservation: Reservation
    project: str = ""
    requested_name: str = ""
    """The requested model as ``provider/model``."""
    fallback: FallbackReason | None = None
    """The reason for which another model serves; None: the requested one does."""
    tried: frozenset[str] = frozenset()
    """The models that were asked before."""
    earlier_attempts: int = 0
    """The upstream requests for these."""
    least_output: int = 1
    """The smallest limit of an answer (tokens) that its upstreams take."""
    started: float = msgspec.field(default_factory=time.monotonic)

    target: UpstreamTarget | None = None
    attempts: int = 0
    accepted: bool = False
    """True once an upstream has begun to answer: from then on the call has used tokens."""
    reported: Tokens | None = None
    """Usage as the upstream reported it."""
    served: str = ""
    """The service tier that served, as the upstream reported it; empty: it did not."""
    generated: int = 0
    """UTF-8 bytes of text that were generated."""
    relay: StreamRelay | None = None
    """The relay of the stream; None until a stream begins."""
    complete: bool = False
    first_byte: float | None = None
    status: int = OK
    error: str = ""
    outcome: Outcome = Outcome.COMPLETED

    @property
    def id(self) -> str:
        """The call's id."""
        return self.reservation.id

    @property
    def requested_model(self) -> str:
        """The model that the client asked for, if another one serves; else empty."""
        return self.requested_name.partition("/")[2] if self.fallback else ""

    def with_plan(self, plan: ModelPlan, reason: FallbackReason) -> CallState:
        """Return the call as another model serves it. Nothing of the attempts so far stays but their number."""
        return CallState(
            incoming=self.incoming,
            caller=self.caller,
            parsed=self.parsed,
            project=self.project,
            requested_name=self.requested_name,
            fallback=reason,
            tried=self.tried | {self.model.id},
            earlier_attempts=self.earlier_attempts + self.attempts,
            started=self.started,
            **plan._asdict(),
        )

    def pseudonym(self, identity: str) -> str:
        """Return what the model provider gets in place of a session's or a user's id."""
        return provider_pseudonym(self.caller.workspace.id, identity)

    def elapsed(self) -> float:
        """Return the seconds since the call was admitted."""
        return time.monotonic() - self.started

    def failed(self, error: ServiceError) -> None:
        """Record that the call ended with ``error``."""
        self.status, self.error = int(error.status), error.code
        if isinstance(error, UpstreamRefused):
            self.outcome = Outcome.REFUSED
        else:
            self.outcome = Outcome.INTERRUPTED if self.accepted else Outcome.FAILED

    def cancelled(self) -> None:
        """Record that the client disconnected. After the end of the answer, this is how a client ends its call."""
        if self.complete:
            return
        self.status, self.error, self.outcome = CLIENT_CLOSED, "client_closed", Outcome.CANCELLED

    def crashed(self) -> None:
        """Record an unexpected error of our own."""
        self.status, self.error = 500, "internal_error"
        self.outcome = Outcome.INTERRUPTED if self.accepted else Outcome.FAILED

    def used(self) -> tuple[Tokens, bool]:
        """Return the call's usage, and whether a part of it is estimated.

        Each part is distrusted by itself: a server that reports no prompt, or no output for an answer with text, does
        not count it. An estimate never exceeds the worst case that was reserved, and a spoken answer counts as sound.
        """
        if not self.accepted:
            return Tokens(), False
        tokens = self._with_possible_sound(self._with_lifetimes(self.reported or Tokens()))
        known = self.reported is not None and self.complete
        output_known = known and bool(tokens.output or not self.generated)
        silent = known and not tokens.output and not self.generated and self.parsed.embedding is None
        prompt_known = bool(tokens.prompt) or silent
        if output_known and prompt_known:
            return tokens, False
        # All tokens of the claim that are not output are prompt.
        most = token_bounds.most_output_tokens(self.parsed, self.model, self.least_output)
        if not output_known:
            guess = min(token_bounds.estimated_output(self.generated), most)
            output = max(tokens.output, guess)
            tokens = msgspec.structs.replace(tokens, output=output, output_audio=output if self.parsed.speaks else 0)
        if not prompt_known:
            guess = token_bounds.estimated_prompt(self.parsed, self.model)
            prompt = min(guess, self.reservation.claim.tokens - most)
            audio = token_bounds.estimated_audio(self.parsed, prompt)
            tokens = msgspec.structs.replace(tokens, input=prompt, input_audio=audio)
        return tokens, True

    def _with_possible_sound(self, tokens: Tokens) -> Tokens:
        """Return usage without sound that the request cannot have. The reservation does not cover its price."""
        if not self.parsed.hears:
            tokens = msgspec.structs.replace(tokens, input_audio=0, cache_read_audio=0)
        return tokens if self.parsed.speaks else msgspec.structs.replace(tokens, output_audio=0)

    def _with_lifetimes(self, tokens: Tokens) -> Tokens:
        """Return usage in which written caches have the lifetime that all marks of the request ask for.

        Some servers report them without a breakdown, which then counts as five minutes.
        """
        if not tokens.cache_write or tokens.cache_write_1h or set(lifetimes(self.parsed.document)) != {"1h"}:
            return tokens
        return msgspec.structs.replace(tokens, cache_write=0, cache_write_1h=tokens.cache_write)

    def _priced(self, tokens: Tokens) -> tuple[int, str, bool]:
        """Return the cost of the tokens, the version of its price, and whether it follows the rule for unknown tiers.

        The tier that served has the price. Where the upstream names none, the requested tier or the standard one was
        served, so the dearer holds. The rule for a tier without a price never exceeds what was reserved.
        """
        standard = cost(self.price, tokens)
        table = table_of(self.price, self.served or self.sent_tier)
        if table is None:
            guess = unpriced_cost(self.price, tokens, self.served, self.unpriced_tier_percent)
            return max(standard, min(guess, self.reservation.claim.cost)), self.price.version, True
        by_tier = cost(table, tokens)
        if not self.served and by_tier < standard:
            return standard, self.price.version, False
        return by_tier, table.version, False

    @property
    def sent_tier(self) -> str:
        """Return the service tier that the upstream was asked for: ``standard`` if a conversion left it out."""
        same = self.target is not None and self.target.format is self.incoming.format
        return (self.parsed.tier if same else "") or STANDARD_TIER

    def event(self) -> UsageEvent:
        """Return the usage event, as far as it is known now."""
        tokens, estimated = self.used()
        price, version, by_rule = self._priced(tokens)
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
            requested_model=self.requested_model,
            fallback=self.fallback or "",
            upstream=target.id if target else "",
            upstream_model=target.model if target else "",
            format=incoming.format,
            streamed=self.parsed.stream,
            byok=self._byok,
            tokens=tokens,
            estimated=estimated or by_rule,
            cost=price,
            charged=0 if self._byok else price,
            reserved=self.reservation.claim.cost,
            price=version,
            catalogue=self.catalogue,
            first_byte_ms=None if self.first_byte is None else round(self.first_byte * 1000),
            total_ms=round(self.elapsed() * 1000),
            attempts=self.earlier_attempts + self.attempts,
            outcome=self.outcome,
            status=self.status,
            error=self.error,
            project=self.project,
            agent=incoming.agent,
            session=pseudonym(caller.workspace.id, incoming.session),
            request=incoming.client_request[:64],
            correlation_id=incoming.request.correlation_id,
            metadata=dict(incoming.metadata) if caller.workspace.metadata_days else {},
        )

    @property
    def _byok(self) -> bool:
        return bool(self.targets) and self.targets[0].byok


def provider_pseudonym(workspace_id: WorkspaceId, identity: str) -> str:
    """Return the pseudonym of a session's or a user's id for model providers: the same for the same workspace and id.

    It has 35 characters; the strictest provider allows 64. The workspace's id is the key: 80 random bits that no
    provider is told, so that a short id cannot be found by trial either.
    """
    encodable = identity.encode("utf-8", "backslashreplace").decode()  # JSON can have halves of characters
    return "id_" + derive(workspace_id, "provider-pseudonym", encodable).hex()[:32]


def pseudonym(workspace_id: WorkspaceId, session: str) -> str:
    """Return the pseudonym of a client's session for usage events.

    Usage is kept for years and read by many, who need not learn the id. A hash suffices, since a session id has 83
    random bits (docs/protocol.md, "Identifiers").
    """
    if not session:
        return ""
    return "ses_" + hashlib.sha256(f"{workspace_id}/{session}".encode()).hexdigest()[:26]
