"""Validation of a catalogue finds each planted fault at its place, together with all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.document import date, form_of
from opencode_cloud.catalogue.validation import TOKENIZERS, faults_of
from opencode_cloud.kit import bpe
from tests.unit.catalogue.documents import DAY, DOCUMENT, document
from tests.unit.catalogue.strategies import NOW

Written = dict[str, Any]
Plant = Callable[[Written], None]


def model(written: Written, name: str = "tiny") -> Written:
    return written["models"][name]


def put(*path: str | int, value: Any) -> Plant:
    def plant(written: Written) -> None:
        place: Any = written
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return plant


def price(at: int, amount: str = "1") -> Written:
    return {"from": date(at), "input": amount, "output": amount}


TINY = ("models", "tiny")
FAULTS: dict[str, tuple[Plant, str, str]] = {
    "unknown small model": (put("small_model", value="none"), "/small_model", "there is no model 'none'"),
    "unknown upstream": (
        put(*TINY, "routes", 0, "upstream", value="none"),
        "/models/tiny/routes/0/upstream",
        "there is no upstream 'none'",
    ),
    "no weight": (
        put(*TINY, "routes", 0, "weight", value=0),
        "/models/tiny/routes",
        "no route has a weight, so no call could take one",
    ),
    "no route": (put("models", "own", "routes", value=[]), "/models/own/routes", "no route has a weight"),
    "format not spoken": (
        put(*TINY, "routes", 0, "formats", value=["responses", "messages"]),
        "/models/tiny/routes/0/formats/1",
        "upstreams of kind openai speak responses, chat",
    ),
    "route twice": (
        lambda written: model(written, "big")["routes"].append({"upstream": "anthropic", "model": "claude-big"}),
        "/models/big/routes/2",
        "an earlier route is the same",
    ),
    "unknown tokenizer": (put(*TINY, "tokenizer", value="o300k"), "/models/tiny/tokenizer", "there is no tokenizer"),
    "alias of another": (
        put(*TINY, "aliases", value=["Biggest"]),
        "/models/tiny/aliases/0",
        "it is the id or an alias of 'big' already",
    ),
    "alias twice": (
        put("models", "own", "aliases", value=["o", "o"]),
        "/models/own/aliases/1",
        "it is the id or an alias of 'own' already",
    ),
    "alias is an id": (put("models", "own", "aliases", value=["own"]), "/models/own/aliases/0", "model with this id"),
    "id but for case": (
        lambda written: written["models"].update(TINY=written["models"]["own"]),
        "/models/TINY",
        "but for case it is the id 'tiny'",
    ),
    "output over context": (
        put("models", "own", "limits", "output", value=40_000),
        "/models/own/limits/output",
        "it is more than the context",
    ),
    "no price": (put("models", "own", "prices", value=[]), "/models/own/prices", "it has no price"),
    "first price later": (
        put("models", "own", "prices", value=[price(NOW + DAY)]),
        "/models/own/prices/0/from",
        "no price is in force yet: the first one begins in the future",
    ),
    "dates out of order": (
        put("models", "own", "prices", value=[price(NOW - DAY), price(NOW - 2 * DAY)]),
        "/models/own/prices/1/from",
        "it begins no later than the price before it",
    ),
    "no date": (
        put("models", "own", "prices", 0, "from", value="2026-01-31"),
        "/models/own/prices/0/from",
        "a date is written like 2026-01-31T00:00:00Z",
    ),
    "the standard tier beside itself": (
        lambda written: model(written, "big")["prices"][0].update(
            service_tiers={"standard": {"input": "1", "output": "1"}}
        ),
        "/models/big/prices/0/service_tiers/standard",
        "the rates of the price itself are those of the standard tier",
    ),
    "a model that generates without a price of its output": (
        lambda written: model(written, "big")["prices"][0]["tiers"][0].pop("output"),
        "/models/big/prices/0/tiers/0/output",
        "this is missing",
    ),
    "an embedding with a format": (
        put("models", "vectors", "format", value="chat"),
        "/models/vectors/format",
        "an embedding model has none",
    ),
    "an embedding with a price of its output": (
        put("models", "vectors", "prices", 0, "output", value="1"),
        "/models/vectors/prices/0/output",
        "only the input of an embedding model has a price",
    ),
    "an embedding at an upstream without any": (
        put("models", "vectors", "routes", 0, "upstream", value="anthropic"),
        "/models/vectors/routes/0/upstream",
        "upstreams of kind anthropic have no embeddings",
    ),
    "an embedding for titles": (put("small_model", value="vectors"), "/small_model", "an embedding model writes no"),
    "sound that costs as text, and has a rate": (
        lambda written: (
            model(written)["prices"][0].update(input_audio="1") or model(written).update(audio_at_text_rate=True)
        ),
        "/models/tiny/prices/0/input_audio",
        "`audio_at_text_rate` says that it is as text",
    ),
    "sound in a cache only": (
        put(*TINY, "prices", 0, "cache_read_audio", value="1"),
        "/models/tiny/prices/0/cache_read_audio",
        "it needs `input_audio`",
    ),
    "sound without a rate for long prompts": (
        put("models", "big", "prices", 0, "input_audio", value="10"),
        "/models/big/prices/0/tiers/0/input_audio",
        "all rates of a price have it, or none has",
    ),
    "sound in answers of a service tier only": (
        put(*TINY, "prices", 0, "service_tiers", value={"flex": {"input": "1", "output": "1", "output_audio": "9"}}),
        "/models/tiny/prices/0/service_tiers/flex/output_audio",
        "all rates of a price have it, or none has",
    ),
    "an embedding of sound": (
        put("models", "vectors", "prices", 0, "input_audio", value="1"),
        "/models/vectors/prices/0/input_audio",
        "an embedding model reads text only",
    ),
    "tiers out of order": (
        lambda written: model(written, "big")["prices"][0]["tiers"].append(
            {"above": 100_000, "input": "1", "output": "1"}
        ),
        "/models/big/prices/0/tiers/1/above",
        "it is no more than in the tier before it",
    ),
    "no address": (
        put("upstreams", "vllm", "base_url", value=None),
        "/upstreams/vllm/base_url",
        "an upstream of this kind has no default URL",
    ),
    "address with a key": (
        put("upstreams", "openai", "base_url", value="https://x.example/v1?key=1"),
        "/upstreams/openai/base_url",
        "it must be host and path only, without user, query or fragment",
    ),
    "region elsewhere": (
        put("upstreams", "anthropic", "region", value="eu-west-1"),
        "/upstreams/anthropic/region",
        "only Bedrock has regions",
    ),
    "timers": (
        put("upstreams", "google", value={"kind": "google", "name": "G", "timers": {"total": 30.0}}),
        "/upstreams/google/timers/total",
        "it is shorter than one of its parts",
    ),
}


def found(written: Written) -> dict[str, str]:
    return {fault.path: fault.message for fault in faults_of(form_of(written), NOW, {})}


def test_a_sound_document_has_no_faults() -> None:
    assert found(document()) == {}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_alone(name: str) -> None:
    plant, path, words = FAULTS[name]
    written = document()
    plant(written)
    assert list(found(written)) == [path]
    assert words in found(written)[path]


APART = ["unknown small model", "format not spoken", "route twice", "unknown tokenizer", "alias of another"]
APART += ["output over context", "no price", "tiers out of order", "no address", "region elsewhere", "timers"]


@given(st.sets(st.sampled_from(APART)))
def test_all_faults_are_found_at_once(names: set[str]) -> None:
    written = document()
    for name in sorted(names):
        FAULTS[name][0](written)
    assert set(found(written)) == {FAULTS[name][1] for name in names}


def test_the_gateway_knows_every_tokenizer_that_may_be_named() -> None:
    assert bpe.encodings() == TOKENIZERS


def test_finding_faults_changes_nothing() -> None:
    before = document()
    faults_of(form_of(before), NOW, {})
    assert before == DOCUMENT
