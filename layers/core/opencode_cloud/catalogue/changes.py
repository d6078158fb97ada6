"""Describe the differences of two documents in sentences, for a person who is about to publish."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opencode_cloud.catalogue.document import date, moment
from opencode_cloud.kit import money
from opencode_cloud.kit.json_documents import Difference, DifferenceKind, differences

Written = Mapping[str, Any]


def changes(before: Written, after: Written) -> list[str]:
    """Return one sentence for each place at which ``after`` differs from ``before``."""
    return [_sentence(difference) for difference in differences(_named(before), _named(after))]


def _sentence(difference: Difference) -> str:
    path = difference.path.replace("~1", "/").replace("~0", "~").lstrip("/")
    match difference.change:
        case DifferenceKind.ADDED:
            return f"{path} is new: {_short(difference.after)}"
        case DifferenceKind.REMOVED:
            return f"{path} is gone: {_short(difference.before)}"
        case DifferenceKind.CHANGED:
            return f"{path} changes from {_short(difference.before)} to {_short(difference.after)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:180]} ..."


def _named(document: Written) -> dict[str, Any]:
    """Return a document whose lists are objects, keyed by the values that identify their entries to people."""
    models = cast("dict[str, dict[str, Any]]", document.get("models", {}))
    return {**document, "models": {name: _model(model) for name, model in models.items()}}


def _model(model: Written) -> dict[str, Any]:
    prices = {date(moment(price["from"])): _price(price) for price in model.get("prices", [])}
    routes = {f"{route['upstream']}:{route['model']}": route for route in model.get("routes", [])}
    return {**model, "prices": prices, "routes": routes}


def _price(price: Written) -> dict[str, Any]:
    tiers: Sequence[Written] = price.get("tiers", [])
    served: Mapping[str, Written] = price.get("service_tiers", {})
    rates = {name: value for name, value in price.items() if name not in ("from", "tiers", "service_tiers")}
    return {
        **_rates(rates),
        **{f"above {tier['above']}": _rates(tier) for tier in tiers},
        **{f"service tier {name}": _price(tier) for name, tier in served.items()},
    }


def _rates(written: Written) -> dict[str, Any]:
    """Return amounts in a normalized form, so that "6" and "6.00" are equal."""
    # A price of embeddings may leave its output out.
    return {
        name: money.exact(money.parse_dollars(value)) if isinstance(value, str) else value
        for name, value in {**written, "output": written.get("output", "0")}.items()
    }
