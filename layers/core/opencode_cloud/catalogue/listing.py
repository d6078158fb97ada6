"""The catalogue as clients list it: ``/api.json``, as models.dev has it, and a provider of their configuration.

Of both the client reads prices in dollars per million tokens, and by which library (``npm``) a model is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.catalogue.models import Catalogue, Format, Model, Price, Rates
from opencode_cloud.contracts.access import Rules
from opencode_cloud.kit.money import DOLLAR

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import EnforcedPolicy

Entry = dict[str, Any]
Permits = Callable[[str, str], bool]
"""Tells whether a model may be used, by the provider's id and its own."""

GATEWAY = "/zen/v1"
"""Where the gateway lies on our host, in the clients' own words; each format's paths follow."""
KEY_VARIABLE = "OPENCODE_API_KEY"
LONG = 200_000
"""Prompt tokens above which the client knows one other price; further tiers are only in ``/api.json``."""
CONFIGURABLE = frozenset(
    {"attachment", "reasoning", "temperature", "tool_call", "interleaved", "modalities", "status", "release_date"}
)
"""What of a model's listing the client's configuration takes too; anything else would keep it from starting."""


def bounded(policy: EnforcedPolicy, patterns: tuple[str, ...] | None) -> Permits:
    """Permit what a workspace's policy does, and of it what a key's ``patterns`` name; None bounds nothing."""
    by_key = Rules(allow=patterns)
    return lambda provider, model: policy.permits_model(provider, model) and by_key.permit(f"{provider}/{model}")


def anything(_provider: str, _model: str) -> bool:
    """Permit every model."""
    return True


def permitted(catalogue: Catalogue, permits: Permits) -> list[Model]:
    """Return the models that may be used, by id."""
    found = [model for model in catalogue.models.values() if permits(catalogue.provider, model.id)]
    return sorted(found, key=lambda model: model.id)


def listed(catalogue: Catalogue, permits: Permits, base_url: str, at: int) -> Entry:
    """Return ``/api.json``: our provider, with the models that may be used at the prices of ``at`` (epoch seconds).

    ``base_url`` is where the gateway lies, the same for all formats.
    """
    provider = {
        "id": catalogue.provider,
        "name": catalogue.provider_name,
        "npm": Format.CHAT.client_library,
        "api": base_url,
        "env": [KEY_VARIABLE],
        "models": {model.id: _listed_model(model, at) for model in permitted(catalogue, permits)},
    }
    return {catalogue.provider: provider}


def configured(catalogue: Catalogue, permits: Permits, base_url: str, at: int) -> Entry:
    """Return our provider as an entry of ``provider`` in the client's configuration, without credentials."""
    return {
        "name": catalogue.provider_name,
        "npm": Format.CHAT.client_library,
        "options": {"baseURL": base_url},
        "models": {model.id: _configured_model(model, at) for model in permitted(catalogue, permits)},
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
        "limit": _present(msgspec.to_builtins(model.limits)),
        "provider": {"npm": model.format.client_library},
    }


def _cost(price: Price) -> Entry:
    cost = _rates(price.rates)
    if long := next((tier for tier in price.tiers if tier.above == LONG), None):
        cost["context_over_200k"] = _rates(long.rates)
    return cost


def _rates(rates: Rates) -> Entry:
    """Return rates in dollars; a kept hour is not among what the client knows."""
    kinds = {
        "input": rates.input,
        "output": rates.output,
        "cache_read": rates.cache_read,
        "cache_write": rates.cache_write,
    }
    return {kind: rate / DOLLAR for kind, rate in kinds.items() if rate is not None}


def _present(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if value is not None}
