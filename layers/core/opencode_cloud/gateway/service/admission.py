"""Who may call which model, and what the call may cost at most: everything before an upstream is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.budgets.service import counters_of
from opencode_cloud.catalogue.models import Catalogue, Model
from opencode_cloud.contracts.access import KnownCredential, Rules, login_required
from opencode_cloud.contracts.budgets import Claim, Reservation, Unit
from opencode_cloud.contracts.ids import CallId
from opencode_cloud.gateway import models
from opencode_cloud.gateway.formats import read_request, tool_names
from opencode_cloud.gateway.models import Incoming, UpstreamTarget
from opencode_cloud.gateway.service import routing, token_bounds
from opencode_cloud.gateway.service.anonymous import Anonymous
from opencode_cloud.gateway.service.call_state import CallState
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.access.service.inference import Caller, InferenceAccess
    from opencode_cloud.catalogue.service import CatalogueReader
    from opencode_cloud.gateway.service.health import Health
    from opencode_cloud.gateway.store import UpstreamKeys

LEASE_SECONDS = 120
"""Beyond the longest that a call may run: what its process takes to settle."""
NOBODY = frozenset({"", "public"})
"""What clients send that have no key (docs/protocol.md): nothing, or this word."""


class CallAdmission:
    """Decides on calls by the caller, the catalogue, the policy and the request itself."""

    def __init__(
        self,
        access: InferenceAccess,
        catalogue: CatalogueReader,
        keys: UpstreamKeys,
        health: Health,
        anonymous: Anonymous,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """``look`` has the health of upstreams looked up in the background."""
        self._access = access
        self._catalogue = catalogue
        self._keys = keys
        self._health = health
        self._anonymous = anonymous
        self._look = look

    async def models(self, incoming: Incoming) -> tuple[Catalogue, list[Model]]:
        """Return the models that a caller may use, by id."""
        caller, catalogue = await self._who(incoming), await self._catalogue.current()
        by_id = sorted(catalogue.models.items())
        return catalogue, [model for _, model in by_id if _refusal(caller, catalogue, model) is None]

    async def admit(self, incoming: Incoming) -> CallState:
        """Return the call, ready to be reserved for; raises the error that its client is to get."""
        self._look()
        caller = await self._who(incoming)
        parsed = read_request(incoming.format, incoming.body, incoming.path_target)
        catalogue = await self._catalogue.current()
        model = catalogue.find(parsed.model)
        if model is None:
            raise models.model_not_found(parsed.model, "/zen/v1/models")
        if refusal := _refusal(caller, catalogue, model):
            raise refusal
        if denied := next(
            (name for name in tool_names(parsed) if not caller.workspace.policy.tools.permit(name)), None
        ):
            raise models.tool_not_permitted(denied)
        if parsed.hosted_tools:
            raise models.hosted_tool(parsed.hosted_tools[0])
        if parsed.tier:
            raise models.tier_not_priced(parsed.tier)
        seconds = incoming.at // 1000
        price = model.price(seconds)
        targets = await self._targets(caller, catalogue, model, incoming)
        counters = (
            self._anonymous.counters(incoming, seconds)
            if not caller.actor.id
            else counters_of(caller.workspace, caller.member, caller.service_account, caller.key, seconds)
        )
        # Counting tokens costs a millisecond, and only matters where they are held back.
        exact = any(counter.budget.unit is not Unit.REQUESTS for counter in counters)
        most, tokens = token_bounds.worst(parsed, model, price, exact=exact)
        longest = max(target.upstream.timers.total for target in targets)
        return CallState(
            incoming=incoming,
            caller=caller,
            parsed=parsed,
            model=model,
            price=price,
            catalogue=catalogue.version,
            targets=targets,
            reservation=Reservation(
                id=CallId(new_id("call")),
                counters=counters,
                claim=Claim(cost=most, charged=0 if targets[0].byok else most, tokens=tokens),
                lease_until=seconds + int(longest) + LEASE_SECONDS,
            ),
        )

    async def _who(self, incoming: Incoming) -> Caller:
        if incoming.request.bearer in NOBODY:
            if not self._anonymous.allowed:
                raise login_required()
            return self._anonymous.caller()
        return await self._access.caller(incoming.request, incoming.workspace_id)

    async def _targets(
        self, caller: Caller, catalogue: Catalogue, model: Model, incoming: Incoming
    ) -> list[UpstreamTarget]:
        platform = await self._keys.platform()
        own = await self._own(caller, catalogue, model)
        providers = caller.workspace.policy.providers
        ways = routing.targets(catalogue, model, incoming.format, providers, own, platform)
        if not ways:
            # Whoever has just set the first key need not wait until the old state is forgotten.
            platform = await self._keys.platform(anew=True)
            ways = routing.targets(catalogue, model, incoming.format, providers, own, platform)
        if not ways:
            raise models.upstream_not_configured(model.id)
        stick_to = incoming.session if model.sticky and incoming.session else new_id("call")
        return routing.order(ways, stick_to, self._health)

    async def _own(self, caller: Caller, catalogue: Catalogue, model: Model) -> dict[str, tuple[KnownCredential, str]]:
        """Return the workspace's own credentials for a model's upstreams, opened."""
        wanted = {
            route.upstream: found
            for route in model.routes
            if (upstream := catalogue.upstreams.get(route.upstream))
            and (found := routing.own_credential(route.upstream, upstream, caller.credentials))
        }
        opened = await asyncio.gather(*(self._keys.open(caller.workspace.id, each) for each in wanted.values()))
        if opened:
            logger.debug("a workspace brings its own keys", extra={"upstreams": sorted(wanted)})
        return {upstream: (found, secret) for (upstream, found), secret in zip(wanted.items(), opened, strict=True)}


def _refusal(caller: Caller, catalogue: Catalogue, model: Model) -> ServiceError | None:
    """Return why a caller may not use a model; None: they may."""
    name = f"{catalogue.provider}/{model.id}"
    if not caller.actor.id and not model.public:
        return login_required()
    if not caller.workspace.policy.permits_model(catalogue.provider, model.id):
        return models.model_not_permitted(name, "the workspace's policy")
    if caller.key and not Rules(allow=caller.key.models).permit(name):
        return models.model_not_permitted(name, "this key")
    return None
