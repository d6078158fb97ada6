"""Decisions before a request to an upstream: permission for the model, and the worst-case cost of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.budgets.service import counters_of
from opencode_cloud.catalogue.models import STANDARD_TIER, Catalogue, Model, ModelKind, Price
from opencode_cloud.catalogue.pricing import table_of
from opencode_cloud.contracts.access import (
    EnforcedRules,
    FallbackReason,
    KeyRefused,
    KnownCredential,
    groups_refusing,
    login_required,
)
from opencode_cloud.contracts.budgets import BudgetScope, BudgetUnit, Claim, Counter, Reservation
from opencode_cloud.contracts.ids import CallId
from opencode_cloud.gateway import models
from opencode_cloud.gateway.attribution import project_of
from opencode_cloud.gateway.formats import (
    bounded_session,
    least_output,
    opening_of,
    read_count_request,
    read_embedding,
    read_request,
    session_of,
    tool_names,
)
from opencode_cloud.gateway.model_names import find_model
from opencode_cloud.gateway.models import Incoming, UpstreamTarget
from opencode_cloud.gateway.service import routing, token_bounds
from opencode_cloud.gateway.service.anonymous import Anonymous
from opencode_cloud.gateway.service.call_state import CallState, ModelPlan, pseudonym
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.access.service.inference import Caller, InferenceAccess
    from opencode_cloud.catalogue.service.reading import CatalogueReader
    from opencode_cloud.gateway.formats import ParsedRequest
    from opencode_cloud.gateway.service.health import Health
    from opencode_cloud.gateway.service.refusals import Refusals
    from opencode_cloud.gateway.store import UpstreamKeys

LEASE_SECONDS = 120
"""Seconds of the lease after the longest possible call: time for its process to settle, with retries."""
NO_KEY = frozenset({"", "public"})
"""Credentials of clients that have no key (docs/protocol.md)."""


class CallAdmission:
    """Decides on calls by the caller, the catalogue, the policy and the request itself."""

    def __init__(
        self,
        access: InferenceAccess,
        catalogue: CatalogueReader,
        keys: UpstreamKeys,
        health: Health,
        anonymous: Anonymous,
        refusals: Refusals,
        refresh_health: Callable[[str], None] = lambda _owner: None,
        *,
        prepaid: bool = False,
    ) -> None:
        """``refresh_health`` starts reading the shared health of an owner's circuits in the background.

        With ``prepaid``, a workspace without a balance has none to spend. Otherwise a missing balance is no limit.
        """
        self._access = access
        self._catalogue = catalogue
        self._keys = keys
        self._health = health
        self._anonymous = anonymous
        self._refusals = refusals
        self._refresh_health = refresh_health
        self._prepaid = prepaid

    async def models(self, incoming: Incoming) -> tuple[Catalogue, list[Model]]:
        """Return the models that a caller may use, by id."""
        caller, catalogue = await self._caller(incoming), await self._catalogue.current()
        self._check(caller)
        by_id = sorted(catalogue.models.items())
        return catalogue, [model for _, model in by_id if _refusal(caller, catalogue, model) is None]

    async def count(self, incoming: Incoming) -> int:
        """Return the tokens of a prompt. It costs nothing, and no upstream is asked.

        Raises the error for the client if it may not use the model.
        """
        caller, catalogue = await self._caller(incoming), await self._catalogue.current()
        self._check(caller)
        named = incoming.path_target.model if incoming.path_target else ""
        parsed = read_count_request(incoming.format, incoming.body, named)
        model = _permitted(caller, catalogue, parsed.model)
        return await token_bounds.counted_prompt(parsed, model)

    async def admit(self, incoming: Incoming) -> CallState:
        """Return the call, ready for its reservation; raises the error for its client.

        A refusal by the caller's rights, the policy, the key or the catalogue is kept.
        """
        try:
            caller = await self._caller(incoming)
        except KeyRefused as refused:
            await self._refusals.note_key(refused)
            raise
        parsed = _read(incoming)
        incoming = msgspec.structs.replace(
            incoming, session=bounded_session(incoming.session or session_of(parsed.document))
        )
        try:
            return await self._admitted(incoming, caller, parsed)
        except ServiceError as error:
            await self._refusals.note(caller, parsed.model, error)
            raise

    async def _admitted(self, incoming: Incoming, caller: Caller, parsed: ParsedRequest) -> CallState:
        self._check(caller)
        catalogue = await self._catalogue.current()
        model = _permitted(caller, catalogue, parsed.model)
        embeds = model.kind is ModelKind.EMBEDDING
        if embeds is not (parsed.embedding is not None):
            raise models.wrong_model_kind(model.id, embeds=embeds)
        permits = caller.workspace.policy.tools.permit_tool
        if denied := next((tool for tool in tool_names(parsed) if not permits(*tool)), None):
            raise models.tool_not_permitted(denied.whole)
        if parsed.hosted_tools:
            raise models.hosted_tool(parsed.hosted_tools[0])
        if parsed.stored:
            raise models.stored_reference(parsed.stored)
        project = project_of(incoming.project_headers, caller.workspace.project_headers)
        counters = self._counters(caller, incoming, project)
        plan = await self._plan(caller, catalogue, model, incoming, parsed, CallId(new_id("call")), counters)
        return CallState(
            incoming=incoming,
            caller=caller,
            parsed=parsed,
            project=project,
            requested_name=f"{catalogue.provider}/{model.id}",
            **plan._asdict(),
        )

    async def with_model(self, state: CallState, name: str, reason: FallbackReason) -> CallState | None:
        """Return the call as another model would serve it, with its reservation; ``name`` is ``provider/model``.

        None if the call had the model before, the caller may not use it, or no upstream of it can be asked. A call for
        vectors keeps its model, because vectors of two models cannot be compared.
        """
        catalogue = await self._catalogue.current()
        provider, _, model_name = name.partition("/")
        model = catalogue.find(model_name) if provider == catalogue.provider else None
        if model is None or model.id in (*state.tried, state.model.id) or _refusal(state.caller, catalogue, model):
            return None
        if ModelKind.EMBEDDING in (model.kind, state.model.kind):
            return None
        held = state.reservation
        try:
            plan = await self._plan(
                state.caller, catalogue, model, state.incoming, state.parsed, held.id, held.counters
            )
        except ServiceError as error:
            logger.info("a fallback cannot be asked", extra={"model": model.id, "error": error.code})
            return None
        return state.with_plan(plan, reason)

    async def _plan(
        self,
        caller: Caller,
        catalogue: Catalogue,
        model: Model,
        incoming: Incoming,
        parsed: ParsedRequest,
        call_id: CallId,
        counters: Sequence[Counter],
    ) -> ModelPlan:
        """Return how a model serves a call, and the most that it may use."""
        seconds = incoming.at // 1000
        price = model.price(seconds)
        if parsed.tier and table_of(price, parsed.tier) is None:
            raise models.tier_not_priced(parsed.tier)
        if parsed.audio and not (model.audio_at_text_rate or price.rates.input_audio is not None):
            raise models.audio_not_priced(model.id, parsed.audio)
        if parsed.speaks and price.rates.output_audio is None:
            raise models.audio_not_priced(model.id, parsed.speaks)
        targets = await self._targets(caller, catalogue, model, incoming, parsed)
        # Counting tokens takes a millisecond, and is needed only if a budget reserves tokens or money.
        exact = any(counter.budget.unit is not BudgetUnit.REQUESTS for counter in counters)
        least = max(least_output(parsed.format, target.format) for target in targets)
        tiers = _tiers(parsed, price, targets)
        most, tokens = await token_bounds.worst(parsed, model, price, exact=exact, least_output=least, tiers=tiers)
        charged = 0 if targets[0].byok else most
        if self._prepaid and charged and not any(each.budget.scope is BudgetScope.BALANCE for each in counters):
            raise models.balance_required()
        longest = max(target.upstream.timers.total for target in targets)
        return ModelPlan(
            model=model,
            price=price,
            catalogue=catalogue.version,
            unpriced_tier_percent=catalogue.unpriced_tier_percent,
            targets=targets,
            least_output=least,
            reservation=Reservation(
                id=call_id,
                counters=counters,
                claim=Claim(cost=most, charged=charged, tokens=tokens),
                lease_until=seconds + int(longest) + LEASE_SECONDS,
            ),
        )

    def _counters(self, caller: Caller, incoming: Incoming, project: str) -> list[Counter]:
        seconds = incoming.at // 1000
        if not caller.actor.id:
            return self._anonymous.counters(incoming, seconds)
        return counters_of(
            caller.workspace,
            caller.member,
            caller.service_account,
            caller.key,
            seconds,
            project=project,
            session=pseudonym(caller.workspace.id, incoming.session),
        )

    async def _caller(self, incoming: Incoming) -> Caller:
        if incoming.request.bearer in NO_KEY:
            if not self._anonymous.allowed:
                raise login_required()
            return self._anonymous.caller()
        return await self._access.caller(incoming.request, incoming.workspace_id)

    def _check(self, caller: Caller) -> None:
        if caller.actor.id:
            self._access.check(caller)

    async def _targets(
        self, caller: Caller, catalogue: Catalogue, model: Model, incoming: Incoming, parsed: ParsedRequest
    ) -> list[UpstreamTarget]:
        platform = await self._keys.platform()
        own = await self._own(caller, catalogue, model)
        providers = caller.workspace.policy.providers
        asked = (catalogue, model, incoming.format, providers, own)
        candidates = routing.targets(*asked, platform, incoming.embedding, parsed)
        if not candidates:
            # The first key may be new, so do not wait until the cached state expires.
            platform = await self._keys.platform(fresh=True)
            candidates = routing.targets(*asked, platform, incoming.embedding, parsed)
        elif routing.lacks_key(catalogue, model, own, platform):
            self._keys.look_for_missing()
        if not candidates:
            raise models.upstream_not_configured(model.id)
        for owner in {target.circuit.owner for _, target in candidates}:
            self._refresh_health(owner)
        stick_to = _stickiness(caller, incoming, parsed) if model.sticky and len(candidates) > 1 else ""
        # A random key spreads calls without a conversation over the upstreams by their weights.
        return routing.order(candidates, stick_to or new_id("call"), self._health)

    async def _own(self, caller: Caller, catalogue: Catalogue, model: Model) -> dict[str, tuple[KnownCredential, str]]:
        """Return the workspace's own credentials for a model's upstreams, decrypted."""
        credentials = {
            route.upstream: credential
            for route in model.routes
            if (upstream := catalogue.upstreams.get(route.upstream))
            and (credential := routing.own_credential(route.upstream, upstream, caller.credentials))
        }
        opened = await asyncio.gather(*(self._keys.open(caller.workspace.id, own) for own in credentials.values()))
        if opened:
            logger.debug("a workspace brings its own keys", extra={"upstreams": sorted(credentials)})
        return {
            upstream: (credential, secret)
            for (upstream, credential), secret in zip(credentials.items(), opened, strict=True)
        }


def _stickiness(caller: Caller, incoming: Incoming, parsed: ParsedRequest) -> str:
    """Return the text by whose hash a conversation keeps its upstream; empty: each call is on its own."""
    if incoming.session or parsed.embedding is not None:
        return incoming.session
    opening = opening_of(parsed)
    return f"{caller.actor.id} {opening}" if opening else ""


def _read(incoming: Incoming) -> ParsedRequest:
    if incoming.embedding is None:
        return read_request(incoming.format, incoming.body, incoming.path_target)
    named = incoming.path_target.model if incoming.path_target else ""
    return read_embedding(incoming.embedding, incoming.body, named)


def _tiers(parsed: ParsedRequest, price: Price, targets: Sequence[UpstreamTarget]) -> tuple[str, ...]:
    """Return the priced service tiers by which a call can be served, besides the standard one.

    A request that names no tier, or loses it in a conversion, leaves the choice to the upstream.
    """
    if not parsed.tier or any(target.format is not parsed.format for target in targets):
        return tuple(price.service_tiers)
    return () if parsed.tier == STANDARD_TIER else (parsed.tier,)


def _permitted(caller: Caller, catalogue: Catalogue, name: str) -> Model:
    """Return a model by its name; raises the error if there is none, or the caller may not use it."""
    model = find_model(catalogue, name)
    if model is None:
        raise models.model_not_found(name, "/zen/v1/models")
    if refusal := _refusal(caller, catalogue, model):
        raise refusal
    return model


def _refusal(caller: Caller, catalogue: Catalogue, model: Model) -> ServiceError | None:
    """Return the error if a caller may not use a model, else None."""
    name = f"{catalogue.provider}/{model.id}"
    if not caller.actor.id and not model.public:
        return login_required()
    if not caller.workspace.policy.permits_model(catalogue.provider, model.id):
        return models.model_not_permitted(name, "the workspace's policy")
    if caller.key and not EnforcedRules(allow=caller.key.models).permit(name):
        return models.model_not_permitted(name, "this key")
    if groups := groups_refusing(caller.workspace, caller.member.groups if caller.member else (), name):
        of = " and ".join(f"`{group.name}`" for group in groups)
        return models.model_not_permitted(name, f"the rules of your group{'' if len(groups) == 1 else 's'} {of}")
    return None
