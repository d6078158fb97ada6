"""Catalogues for tests of the gateway's rules."""

from __future__ import annotations

from typing import Any

from opencode_cloud.catalogue.models import (
    Catalogue,
    Format,
    Model,
    Price,
    Rates,
    Route,
    TokenLimits,
    Upstream,
    UpstreamKind,
)

DOLLAR_A_MILLION = 100_000_000
"""US$1 per million tokens, in micro-cents."""


def price(version: str = "2026-01", since: int = 0, **rates: int) -> Price:
    given = {"input": 3 * DOLLAR_A_MILLION, "output": 15 * DOLLAR_A_MILLION} | rates
    return Price(version=version, since=since, rates=Rates(**given))


def model(*routes: Route, **changes: Any) -> Model:
    given: dict[str, Any] = {
        "id": "m1",
        "name": "M1",
        "format": Format.CHAT,
        "limits": TokenLimits(context=200_000, output=32_000),
        "prices": (price(),),
    }
    return Model(routes=routes, **(given | changes))


def upstream(kind: UpstreamKind = UpstreamKind.OPENAI_COMPATIBLE, **changes: Any) -> Upstream:
    return Upstream(kind=kind, name=kind, base_url="http://127.0.0.1:1/v1", **changes)


def catalogue(*models: Model, **upstreams: Upstream) -> Catalogue:
    return Catalogue(version=1, upstreams=upstreams, models={each.id: each for each in models})
