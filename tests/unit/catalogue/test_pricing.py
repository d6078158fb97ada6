"""Costs of calls: integers, never less than the exact amount, never more than the reservation."""

from __future__ import annotations

from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import MILLION, Price, Rates, ServiceTier, Tier
from opencode_cloud.catalogue.pricing import cost, rates_for, table_of, unpriced_cost, worst_cost
from opencode_cloud.contracts.usage import Tokens

CENT = 1_000_000
"""Prices in micro-cents."""
RATE = st.integers(0, 10**12)
RATES = st.builds(
    Rates,
    input=RATE,
    output=RATE,
    cache_read=st.none() | RATE,
    cache_write=st.none() | RATE,
    cache_write_1h=st.none() | RATE,
)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    limits = sorted(draw(st.sets(st.integers(1, 5000), max_size=3)))
    tiers = tuple(Tier(above=above, rates=draw(RATES)) for above in limits)
    return Price(version="v", since=0, rates=draw(RATES), tiers=tiers)


COUNT = st.integers(0, 3000)
TOKENS = st.builds(
    Tokens, input=COUNT, output=COUNT, reasoning=COUNT, cache_read=COUNT, cache_write=COUNT, cache_write_1h=COUNT
)


def test_a_million_tokens_cost_what_the_price_says() -> None:
    price = Price(version="v", since=0, rates=Rates(input=300 * CENT, output=1500 * CENT, cache_read=30 * CENT))
    assert cost(price, Tokens(input=MILLION)) == 300 * CENT
    assert cost(price, Tokens(output=MILLION, reasoning=MILLION)) == 1500 * CENT  # reasoning is a part of output
    assert cost(price, Tokens(cache_read=MILLION, cache_write=MILLION, cache_write_1h=MILLION)) == (30 + 600) * CENT


def test_an_hour_costs_as_five_minutes_where_nothing_else_is_said() -> None:
    price = Price(version="v", since=0, rates=Rates(input=100, output=0, cache_write=700))
    assert cost(price, Tokens(cache_write_1h=MILLION)) == 700


def test_above_a_tiers_limit_the_whole_call_costs_its_rates() -> None:
    tiers = (Tier(above=100, rates=Rates(input=2, output=20)), Tier(above=1000, rates=Rates(input=3, output=30)))
    price = Price(version="v", since=0, rates=Rates(input=1, output=10), tiers=tiers)
    found = [rates_for(price, prompt).input for prompt in (0, 100, 101, 1000, 1001)]
    assert found == [1, 1, 2, 2, 3]
    assert cost(price, Tokens(input=50, cache_read=51, output=MILLION)) == 21  # the whole prompt counts for the tier


@given(prices(), TOKENS)
def test_a_cost_is_the_exact_amount_rounded_up(price: Price, tokens: Tokens) -> None:
    rates = rates_for(price, tokens.prompt)
    write = rates.input if rates.cache_write is None else rates.cache_write
    exact = Fraction(
        tokens.input * rates.input
        + tokens.output * rates.output
        + tokens.cache_read * (rates.input if rates.cache_read is None else rates.cache_read)
        + tokens.cache_write * write
        + tokens.cache_write_1h * (write if rates.cache_write_1h is None else rates.cache_write_1h),
        MILLION,
    )
    assert 0 <= cost(price, tokens) - exact < 1


@given(prices(), TOKENS, COUNT, COUNT)
def test_no_call_costs_more_than_was_reserved_for_it(price: Price, tokens: Tokens, more: int, longer: int) -> None:
    assert cost(price, tokens) <= worst_cost(price, tokens.prompt + more, tokens.output + longer)
    assert worst_cost(price, 0, 0) == 0


@given(prices(), prices(), TOKENS)
def test_the_dearest_tier_that_can_serve_is_reserved(price: Price, other: Price, tokens: Tokens) -> None:
    served = {"fast": ServiceTier(version="f", rates=other.rates, tiers=other.tiers)}
    tiered = msgspec.structs.replace(price, service_tiers=served)
    reserved = worst_cost(tiered, tokens.prompt, tokens.output, ("fast",))
    for tier in ("standard", "fast"):
        table = table_of(tiered, tier)
        assert table is not None
        assert cost(table, tokens) <= reserved
    assert worst_cost(tiered, tokens.prompt, tokens.output) == worst_cost(price, tokens.prompt, tokens.output)
    assert table_of(tiered, "flex") is None


def test_a_tier_without_a_price_follows_the_rule() -> None:
    price = Price(version="v", since=0, rates=Rates(input=3, output=0))
    tokens = Tokens(input=MILLION)
    assert [unpriced_cost(price, tokens, "priority", percent) for percent in (100, 150, 200)] == [3, 5, 6]
    assert unpriced_cost(price, tokens, "flex", 200) == 3
