"""The document that operators write, and the catalogue that the gateway reads from it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue.document import (
    date,
    form_of,
    load,
    moment,
    with_dates,
    written_price,
)
from opencode_cloud.catalogue.models import Catalogue, Format, InvalidCatalogue, Rates, UpstreamKind
from opencode_cloud.catalogue.packing import pack, unpack
from opencode_cloud.catalogue.service.starting import PARSED, parsed, starting_catalogue, starting_text
from opencode_cloud.catalogue.validation import faults_of
from tests.unit.catalogue.documents import LONG_AGO, document, text, with_model
from tests.unit.catalogue.strategies import NOW, documents

FEW = settings(max_examples=25)
"""Documents are large."""


def read(written: dict[str, Any]) -> Catalogue:
    return form_of(load(text(written))).catalogue(1)


def faults(written: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidCatalogue) as caught:
        form_of(load(text(written)))
    return {fault.path: fault.message for fault in caught.value.faults}


def test_dollars_become_micro_cents_exactly() -> None:
    big = read(document()).models["big"]
    assert big.prices[0].rates == Rates(
        input=300_000_000,
        output=1_500_000_000,
        cache_read=30_000_000,
        cache_write=375_000_000,
        cache_write_1h=600_000_000,
    )
    assert big.prices[0].tiers[0].rates == Rates(input=600_000_000, output=2_250_000_000)
    assert big.prices[0].since == moment(LONG_AGO) == 1_735_689_600


@given(st.integers(946_684_800, 253_402_300_799))
def test_a_moment_is_read_as_it_was_written(seconds: int) -> None:
    assert moment(date(seconds)) == seconds


def test_everything_else_is_as_it_was_written() -> None:
    catalogue = read(document())
    assert (catalogue.provider, catalogue.provider_name, catalogue.small_model) == ("acme", "Acme", "tiny")
    assert catalogue.upstreams["vllm"].base_url == "http://10.0.0.7:8000/v1"
    assert catalogue.upstreams["vllm"].kind is UpstreamKind.OPENAI_COMPATIBLE
    assert (catalogue.upstreams["bedrock"].region, catalogue.upstreams["bedrock"].byok) == ("eu-west-1", False)
    tiny = catalogue.models["tiny"]
    assert (tiny.limits.input, tiny.tokenizer, tiny.format) == (90_000, "o200k_base", Format.RESPONSES)
    assert (tiny.routes[0].weight, tiny.routes[0].formats) == (3, (Format.RESPONSES,))
    assert catalogue.find("biggest") is catalogue.find("big") is catalogue.models["big"]
    assert catalogue.find("BIG") is None


@pytest.mark.parametrize(("written", "percent"), [({}, 200), ({"unpriced_tier_percent": 150}, 150)])
def test_the_price_of_a_tier_without_a_price_is_stated_in_percent(written: dict[str, int], percent: int) -> None:
    assert read(document(**written)).unpriced_tier_percent == percent


@pytest.mark.parametrize("percent", [99, 1001, "200", None])
def test_that_percentage_is_bounded(percent: object) -> None:
    assert set(faults(document(unpriced_tier_percent=percent))) == {"/unpriced_tier_percent"}


def test_an_upstream_lists_the_flags_that_it_knows() -> None:
    written = document()
    written["upstreams"]["bedrock"]["beta_flags"] = ["context-1m-2025-08-07"]
    catalogue = read(written)
    assert catalogue.upstreams["bedrock"].beta_flags == ("context-1m-2025-08-07",)
    assert catalogue.upstreams["vllm"].beta_flags is None


@FEW
@given(documents())
def test_any_valid_document_comes_back_as_it_went_into_the_store(written: dict[str, Any]) -> None:
    form = form_of(load(text(written)))
    assert faults_of(form, NOW, {}) == []
    catalogue = form.catalogue(7)
    assert unpack(pack(catalogue)) == catalogue
    # The export equals the written document, and means the same when it is published elsewhere.
    assert form_of(load(json.dumps(load(text(written)), indent=2))).catalogue(7) == catalogue


@FEW
@given(documents())
def test_a_price_written_from_what_the_gateway_reads_is_the_same_price(written: dict[str, Any]) -> None:
    for name, model in read(written).models.items():
        again = with_model("own", prices=[written_price(price) for price in model.prices])
        own = {**again["models"].pop("own")}
        again["models"] = {name: own}
        assert form_of(again).catalogue(1).models[name].prices == model.prices


@FEW
@given(documents(), documents())
def test_two_prices_never_have_the_same_version(one: dict[str, Any], other: dict[str, Any]) -> None:
    by_version: dict[str, Any] = {}
    for catalogue in (read(one), read(other)):
        for model in catalogue.models.values():
            for price in model.prices:
                assert by_version.setdefault(price.version, (model.id, price)) == (model.id, price)
                assert len(price.version) <= 64


def test_every_wrong_form_is_found_at_once() -> None:
    wrong = document(extra=1, small_model=None)
    wrong["upstreams"]["openai"] = {"kind": "openal", "name": ""}
    wrong["models"]["a b"] = wrong["models"].pop("own")
    wrong["models"]["tiny"]["prices"] = [{"from": LONG_AGO, "input": 0.05, "output": "-1"}]
    wrong["models"]["big"]["limits"] = {"context": 0, "output": True}
    wrong["models"]["big"]["routes"][0]["weight"] = -1
    wrong["models"]["big"]["public"] = "yes"
    del wrong["models"]["big"]["name"]
    assert set(faults(wrong)) == {
        "/extra",
        "/small_model",
        "/upstreams/openai/kind",
        "/upstreams/openai/name",
        "/models/a b",
        "/models/tiny/prices/0/input",
        "/models/tiny/prices/0/output",
        "/models/big/limits/context",
        "/models/big/limits/output",
        "/models/big/routes/0/weight",
        "/models/big/public",
        "/models/big/name",
    }


def test_money_is_text_since_no_number_of_json_is_exact() -> None:
    found = faults(with_model("own", prices=[{"from": LONG_AGO, "input": 0.1, "output": "0.123456789"}]))
    assert found["/models/own/prices/0/input"] == 'write dollars per million tokens as text, such as "2.50"'
    assert "is not of the form" in found["/models/own/prices/0/output"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "a JSON object"),
        ('{"models": {}, "models": {}}', "'models' twice"),
        ('{"models": NaN}', "NaN is no number"),
        ("[" * 100_000, "nested too deeply"),
        (" " * 4_000_001, "longer than"),
    ],
)
def test_what_is_no_document_is_said_to_be_none(written: str, words: str) -> None:
    with pytest.raises(InvalidCatalogue, match=words):
        load(written)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.dictionaries(st.sampled_from(["models", "prices", "from", "m", "upstreams"]), inner) | st.lists(inner)
        ),
    )
)
def test_whatever_comes_is_read_or_refused_with_reasons(value: Any) -> None:
    with suppress(InvalidCatalogue):
        form_of(with_dates(load(json.dumps(value)), NOW)).catalogue(1)


def test_now_stands_for_the_moment_of_publishing() -> None:
    written = with_model("own", prices=[{"from": "now", "input": "1", "output": "1"}])
    assert with_dates(written, NOW)["models"]["own"]["prices"][0]["from"] == date(NOW)
    assert written["models"]["own"]["prices"][0]["from"] == "now"


@pytest.mark.parametrize("written", ["2026-01-31", "2026-01-31T00:00:00", "1999-12-31T00:00:00Z", "soon", "2026-13-01"])
def test_a_date_needs_an_offset_and_a_year_of_ours(written: str) -> None:
    with pytest.raises(ValueError, match=r"date|isoformat|month"):
        moment(written)


def test_the_parsed_form_of_the_starting_catalogue_is_up_to_date() -> None:
    assert PARSED.read_bytes() == parsed(), "run `make catalogue`"


def test_the_starting_catalogue_may_be_published_as_it_is() -> None:
    form = form_of(load(starting_text()))
    assert faults_of(form, NOW, {}) == []
    assert starting_catalogue().version == 0
    kinds = {upstream.kind for upstream in starting_catalogue().upstreams.values()}
    assert kinds == set(UpstreamKind)
    assert {model.format for model in starting_catalogue().models.values()} == set(Format)


def test_claude_has_bedrock_behind_it_and_a_price_for_kept_hours() -> None:
    claude = [model for name, model in starting_catalogue().models.items() if name.startswith("claude")]
    assert claude
    for model in claude:
        assert [(route.upstream, route.priority) for route in model.routes] == [("anthropic", 1), ("bedrock", 2)]
        assert model.prices[0].rates.cache_write_1h == 2 * model.prices[0].rates.input
