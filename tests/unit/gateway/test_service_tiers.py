"""A call costs the price of the service tier that served it, and reserves the dearest that can serve it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from opencode_cloud.catalogue.models import Format, Price, Rates, Route, ServiceTier, UpstreamKind
from opencode_cloud.gateway.formats import relay_answer, relay_stream
from tests.unit.gateway.calling import END, USAGE, Connection, Rig, Scripted, delta, sse
from tests.unit.gateway.catalogues import DOLLAR_A_MILLION, catalogue, model, price, upstream
from tests.unit.gateway.formats.speaking import FORMATS, ask, encode
from tests.unit.gateway.rigs import only

STANDARD = 10 * 300 + 5 * 1500
"""The cost of the scripted call by the standard rates, in micro-cents."""
TIERS = {
    "priority": ServiceTier(version="p", rates=Rates(input=6 * DOLLAR_A_MILLION, output=30 * DOLLAR_A_MILLION)),
    "flex": ServiceTier(version="f", rates=Rates(input=DOLLAR_A_MILLION, output=5 * DOLLAR_A_MILLION)),
}
TIERED = (Price(version="v", since=0, rates=price().rates, service_tiers=TIERS),)


def answer(tier: str | None, *, header: str = "") -> Scripted:
    said = {} if tier is None else {"service_tier": tier}
    last = {"id": "c1", "choices": [], "usage": USAGE, **said}
    return Scripted((sse({**delta("Hello"), **said}, END, last, b"[DONE]"),), service_tier=header)


def asking(tier: str | None) -> dict[str, Any]:
    return {} if tier is None else {"service_tier": tier}


def rig(tier: str | None, prices: tuple[Price, ...] = TIERED, **changes: Any) -> Rig:
    found = catalogue(model(Route(upstream="a", model="m"), prices=prices), a=upstream())
    return Rig(msgspec.structs.replace(found, **changes), lambda _: answer(tier))


@pytest.mark.parametrize(
    ("asked", "served", "cost", "version"),
    [
        ("priority", "priority", 2 * STANDARD, "p"),
        ("priority", "default", STANDARD, "v"),
        ("auto", "priority", 2 * STANDARD, "p"),
        ("auto", "default", STANDARD, "v"),
        ("flex", "flex", STANDARD // 3, "f"),
        ("priority", None, 2 * STANDARD, "p"),
        ("flex", None, STANDARD, "v"),
        ("auto", None, STANDARD, "v"),
        (None, "flex", STANDARD // 3, "f"),
    ],
)
async def test_the_tier_that_served_has_the_price(asked: str, served: str | None, cost: int, version: str) -> None:
    found = rig(served)
    await found.call(**asking(asked))
    event = only(found)
    assert (event.cost, event.price, event.estimated) == (cost, version, False)
    assert event.cost <= found.ledger.reserved[0].claim.cost


@pytest.mark.parametrize(("asked", "factor"), [(None, 2), ("auto", 2), ("priority", 2), ("default", 1), ("flex", 1)])
async def test_the_dearest_tier_that_can_serve_is_held_back(asked: str | None, factor: int) -> None:
    plain, tiered = rig(None, (price(),)), rig(None)
    await plain.call()
    await tiered.call(**asking(asked))
    assert tiered.ledger.reserved[0].claim.cost == factor * plain.ledger.reserved[0].claim.cost


@pytest.mark.parametrize(
    ("served", "changes", "cost"),
    [
        ("priority", {}, 2 * STANDARD),
        ("tomorrows", {}, 2 * STANDARD),
        ("priority", {"unpriced_tier_percent": 150}, STANDARD * 3 // 2),
        ("flex", {}, STANDARD),
        ("default", {}, STANDARD),
        ("scale", {}, STANDARD),
    ],
)
async def test_a_served_tier_without_a_price_costs_what_the_catalogue_states(
    served: str, changes: dict[str, Any], cost: int
) -> None:
    found = rig(served, (price(),), **changes)
    await found.call(service_tier="auto")
    event = only(found)
    assert (event.cost, event.estimated) == (cost, served not in ("default", "scale"))


async def test_the_rule_never_exceeds_what_was_held_back() -> None:
    found = rig("priority", (price(),))
    await found.call(max_tokens=5, service_tier="auto")
    event = only(found)
    assert STANDARD <= event.cost <= found.ledger.reserved[0].claim.cost


async def test_a_tier_in_the_headers_counts() -> None:
    found = rig(None)
    found.script = lambda _: answer(None, header="priority")
    await found.call()
    assert only(found).price == "p"


async def test_a_conversion_that_loses_the_tier_loses_its_price() -> None:
    found = rig(None)
    route = Route(upstream="a", model="m", formats=(Format.MESSAGES,))
    found.catalogue = catalogue(model(route, prices=TIERED), a=upstream(UpstreamKind.ANTHROPIC))
    usage = {"input_tokens": 10, "output_tokens": 5, "service_tier": "standard"}
    text = [{"type": "text", "text": "Hello"}]
    body = {"type": "message", "role": "assistant", "content": text, "stop_reason": "end_turn", "usage": usage}
    found.script = lambda _: Scripted((json.dumps(body).encode(),), 200, "application/json")
    sink = Connection()
    await found.calls.serve(replace(found.incoming(stream=False, service_tier="priority")), sink)
    assert (only(found).cost, only(found).price) == (STANDARD, "v")
    assert "service_tier" in sink.headers["x-opencode-dropped"]


FORMS: dict[Format, tuple[dict[str, Any], dict[str, Any]]] = {
    Format.CHAT: (
        {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}], "service_tier": "priority"},
        {"choices": [{"index": 0, "message": {"content": "x"}}], "service_tier": "priority"},
    ),
    Format.RESPONSES: (
        {"type": "response.completed", "response": {"output": [], "service_tier": "priority"}},
        {"output": [], "status": "completed", "service_tier": "priority"},
    ),
    Format.MESSAGES: (
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 1, "service_tier": "priority"}},
        {"type": "message", "content": [], "usage": {"output_tokens": 1, "service_tier": "priority"}},
    ),
    Format.GENERATE: (
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"trafficType": "ON_DEMAND_PRIORITY"}},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"serviceTier": "PRIORITY"}},
    ),
}


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_the_tier_is_read_from_each_format_passed_on_or_converted(client: Format, source: Format) -> None:
    event, whole = FORMS[source]
    relay = relay_stream(ask(client, stream=True), source)
    relay.feed(b"data: " + encode(event) + b"\n\n")
    assert (relay.tier, relay.garbage) == ("priority", False)
    assert relay_answer(ask(client), source, encode(whole)).tier == "priority"


def test_a_fast_answer_of_messages_is_a_tier() -> None:
    usage = {"output_tokens": 1, "service_tier": "standard", "speed": "fast"}
    whole = encode({"content": [], "usage": usage})
    assert relay_answer(ask(Format.MESSAGES), Format.MESSAGES, whole).tier == "fast"
