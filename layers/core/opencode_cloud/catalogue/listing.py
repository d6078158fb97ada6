"""The catalogue for clients: ``/api.json`` in the format of models.dev, and a provider of their configuration.

From both, clients read prices in dollars per million tokens, and the library (``npm``) that calls a model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.catalogue.models import Catalogue, Format, Model, ModelKind, Price, Rates
from opencode_cloud.contracts.access import EnforcedRules, permits_model
from opencode_cloud.kit.money import DOLLAR

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import KnownWorkspace
    from opencode_cloud.contracts.actor import Actor

Entry = dict[str, Any]
Permits = Callable[[str, str], bool]
"""Returns whether a model may be used, by the provider's id and the model's id."""

GATEWAY = "/zen/v1"
"""The gateway's base path, which clients expect. The formats' paths follow it."""
KEY_VARIABLE = "OPENCODE_API_KEY"
LONG = 200_000
"""Prompt tokens above which clients support one other price. Only ``/api.json`` has further tiers."""
CONFIGURABLE = frozenset(
    {"attachment", "reasoning", "temperature", "tool_call", "interleaved", "modalities", "status", "release_date"}
)
"""Members of a model's listing that the client's configuration accepts. With others, clients do not start."""


def bounded(workspace: KnownWorkspace, actor: Actor) -> Permits:
    """Return a check by a workspace's policy, the rules of the actor's groups, and the patterns of the actor's key."""
    by_key = EnforcedRules(allow=actor.models)

    def permits(provider: str, model: str) -> bool:
        return permits_model(workspace, actor.groups, provider, model) and by_key.permit(f"{provider}/{model}")

    return permits


def allow_all(_provider: str, _model: str) -> bool:
    """Permit every model."""
    return True


def permitted(catalogue: Catalogue, permits: Permits) -> list[Model]:
    """Return the permitted models, ordered by id."""
    models = [model for model in catalogue.models.values() if permits(catalogue.provider, model.id)]
    return sorted(models, key=lambda model: model.id)


def generating(catalogue: Catalogue, permits: Permits) -> list[Model]:
    """Return the permitted models that generate. Clients would offer an embedding model for conversations."""
    return [model for model in permitted(catalogue, permits) if model.kind is ModelKind.GENERATION]


def listed(catalogue: Catalogue, permits: Permits, base_url: str, at: int) -> Entry:
    """Return ``/api.json``: our provider, with the permitted models and their prices at ``at`` (epoch seconds).

    ``base_url`` is the gateway's address, the same for all formats.
    """
    provider = {
        "id": catalogue.provider,
        "name": catalogue.provider_name,
        "npm": Format.CHAT.client_library,
        "api": base_url,
        "env": [KEY_VARIABLE],
        "models": {model.id: _listed_model(model, at) for model in generating(catalogue, permits)},
    }
    return {catalogue.provider: provider}


def configured(catalogue: Catalogue, permits: Permits, base_url: str, at: int) -> Entry:
    """Return our provider as an entry of ``provider`` in the client's configuration. It has no credentials."""
    return {
        "name": catalogue.provider_name,
        "npm": Format.CHAT.client_library,
        "options": {"baseURL": base_url},
        "models": {model.id: _configured_model(model, at) for model in generating(catalogue, permits)},
    }


def _listed_model(model: Model, at: int) -> Entry:
    price = model.price(at)
    cost = _cost(price)
    if price.tiers:
        cost["tiers"] = [
            {**_rates(tier.rates), "tier": {"type": "context", "size": tier.above}} for tier in price.tiers
        ]
    listing = {name: msgspec.json.decode(value) for name, value in model.listing.items()}
    return {"id": model.id, **_common(model), **listing, "cost": cost}


def _configured_model(model: Model, at: int) -> Entry:
    listing = {name: msgspec.json.decode(value) for name, value in model.listing.items() if name in CONFIGURABLE}
    return {**_common(model), **listing, "cost": _cost(model.price(at))}


def _common(model: Model) -> Entry:
    return {
        "name": model.name,
        **({"family": model.family} if model.family else {}),
        "limit": _without_empty(msgspec.to_builtins(model.limits)),
        "provider": {"npm": model.format.client_library},
    }


def _cost(price: Price) -> Entry:
    cost = _rates(price.rates)
    if long := next((tier for tier in price.tiers if tier.above == LONG), None):
        cost["context_over_200k"] = _rates(long.rates)
    return cost


def _rates(rates: Rates) -> Entry:
    """Return rates in dollars. Clients do not support those of one-hour cache writes and of sound."""
    kinds = {
        "input": rates.input,
        "output": rates.output,
        "cache_read": rates.cache_read,
        "cache_write": rates.cache_write,
    }
    return {kind: rate / DOLLAR for kind, rate in kinds.items() if rate is not None}


def _without_empty(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if value is not None}
