"""Strategies for publishable documents, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from opencode_cloud.catalogue.document import date
from opencode_cloud.catalogue.models import FORMATS_BY_KIND, UpstreamKind
from opencode_cloud.catalogue.validation import TOKENIZERS
from opencode_cloud.kit.money import exact

NOW = 1_795_000_000
DOLLARS = st.integers(0, 10**14 - 1).map(exact) | st.sampled_from(["0", "3", "0.05", "2.50000000"])
NAMES = st.text("abcXYZ09 -/:.é漢", min_size=1, max_size=6)
IDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,11}", fullmatch=True)
RATES = st.fixed_dictionaries(
    {"input": DOLLARS, "output": DOLLARS},
    optional={"cache_read": DOLLARS, "cache_write": DOLLARS, "cache_write_1h": DOLLARS},
)
SOUND = st.sampled_from([(), ("input_audio",), ("output_audio",), ("input_audio", "cache_read_audio", "output_audio")])
SIZES = st.lists(st.integers(1, 10**6), max_size=2, unique=True)
LISTINGS = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.booleans() for name in ("attachment", "reasoning", "tool_call", "temperature", "open_weights")},
        "modalities": st.fixed_dictionaries({"input": st.just(["text", "pdf"]), "output": st.just(["text"])}),
        "release_date": st.dates().map(lambda day: day.isoformat()),
        "status": st.sampled_from(["alpha", "beta", "deprecated"]),
        "interleaved": st.just({"field": "reasoning_content"}) | st.booleans(),
    },
)


@st.composite
def prices(draw: st.DrawFn) -> list[dict[str, Any]]:
    moments = sorted(draw(st.sets(st.integers(NOW - 10**8, NOW + 10**8), max_size=2)) | {NOW - 10**8 - 1})
    names = st.lists(st.sampled_from(["flex", "priority", "fast"]), max_size=2, unique=True)
    written: list[dict[str, Any]] = []
    for at in moments:
        sound = draw(SOUND)
        rates = RATES.flatmap(
            lambda text, sound=sound: st.fixed_dictionaries(dict.fromkeys(sound, DOLLARS)).map(
                lambda heard: {**text, **heard}
            )
        )
        tiers = [{"above": size, **draw(rates)} for size in sorted(draw(SIZES))]
        served = {name: draw(rates) for name in draw(names)}
        written.append({"from": date(at), **draw(rates), "tiers": tiers, "service_tiers": served})
    return written


@st.composite
def upstreams(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(UpstreamKind))
    written: dict[str, Any] = {"kind": kind.value, "name": draw(NAMES), "byok": draw(st.booleans())}
    if kind is UpstreamKind.OPENAI_COMPATIBLE or draw(st.booleans()):
        written["base_url"] = "https://models.example/v1"
    if draw(st.booleans()):
        written["timers"] = {"connect": draw(st.floats(0.1, 5)), "first_byte": draw(st.integers(1, 60))}
    return written


@st.composite
def models(draw: st.DrawFn, servers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    routes: list[dict[str, Any]] = []
    for name in draw(st.lists(st.sampled_from(sorted(servers)), min_size=1, max_size=3, unique=True)):
        spoken = [each.value for each in FORMATS_BY_KIND[UpstreamKind(servers[name]["kind"])]]
        formats = draw(st.none() | st.lists(st.sampled_from(spoken), min_size=1, unique=True))
        route = {"upstream": name, "model": draw(NAMES), "priority": draw(st.integers(0, 9)), "weight": 1}
        routes.append(route | ({"formats": formats} if formats else {}))
    context = draw(st.integers(1, 10**7))
    return {
        "name": draw(NAMES),
        "format": draw(st.sampled_from(["chat", "messages", "responses", "generate"])),
        "limits": {"context": context, "output": draw(st.integers(1, context))},
        "prices": draw(prices()),
        "routes": routes,
        "tokenizer": draw(st.sampled_from(["", *sorted(TOKENIZERS)])),
        "listing": draw(LISTINGS),
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    servers = draw(st.dictionaries(IDS, upstreams(), min_size=1, max_size=2))
    known = draw(st.dictionaries(IDS, models(servers), max_size=2))
    return {"upstreams": servers, "models": known, "small_model": draw(st.sampled_from(["", *sorted(known)]))}
