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
    input_audio=st.none() | RATE,
    output_audio=st.none() | RATE,
)
RATES = RATES.flatmap(
    lambda rates: st.builds(
        msgspec.structs.replace,
        st.just(rates),
        cache_read_audio=st.none() if rates.input_audio is None else st.none() | RATE,
    )
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
SHARE = st.fractions(0, 1)


@st.composite
def with_sound(draw: st.DrawFn) -> Tokens:
    tokens = draw(TOKENS)
    audio = {f"{name}_audio": int(getattr(tokens, name) * draw(SHARE)) for name in ("input", "cache_read", "output")}
    return msgspec.structs.replace(tokens, **audio)


def test_a_million_tokens_cost_what_the_price_says() -> None:
    price = Price(version="v", since=0, rates=Rates(input=300 * CENT, output=1500 * CENT, cache_read=30 * CENT))
    assert cost(price, Tokens(input=MILLION)) == 300 * CENT
    assert cost(price, Tokens(output=MILLION, reasoning=MILLION)) == 1500 * CENT  # reasoning is a part of output
    assert cost(price, Tokens(cache_read=MILLION, cache_write=MILLION, cache_write_1h=MILLION)) == (30 + 600) * CENT


def test_sound_costs_its_own_rates() -> None:
    rates = Rates(input=30, output=250, cache_read=3, input_audio=100, cache_read_audio=10, output_audio=1200)
    price = Price(version="v", since=0, rates=rates)
    heard = Tokens(input=2 * MILLION, input_audio=MILLION, cache_read=2 * MILLION, cache_read_audio=MILLION)
    assert cost(price, heard) == 30 + 100 + 3 + 10
    assert cost(price, Tokens(output=3 * MILLION, output_audio=MILLION)) == 2 * 250 + 1200
    assert (worst_cost(price, MILLION, MILLION), worst_cost(price, MILLION, 0, hears=True)) == (30 + 250, 100)
    assert worst_cost(price, 0, MILLION, speaks=True) == 1200


def test_sound_without_a_rate_costs_what_text_does() -> None:
    price = Price(version="v", since=0, rates=Rates(input=30, output=250, cache_read=3))
    assert cost(price, Tokens(input=MILLION, input_audio=MILLION, output=MILLION, output_audio=MILLION)) == 280
    assert cost(price, Tokens(cache_read=MILLION, cache_read_audio=MILLION)) == 3
    heard = Price(version="v", since=0, rates=Rates(input=30, output=250, cache_read=3, input_audio=100))
    assert cost(heard, Tokens(cache_read=MILLION, cache_read_audio=MILLION)) == 100


def test_an_hour_costs_as_five_minutes_where_nothing_else_is_said() -> None:
    price = Price(version="v", since=0, rates=Rates(input=100, output=0, cache_write=700))
    assert cost(price, Tokens(cache_write_1h=MILLION)) == 700


def test_above_a_tiers_limit_the_whole_call_costs_its_rates() -> None:
    tiers = (Tier(above=100, rates=Rates(input=2, output=20)), Tier(above=1000, rates=Rates(input=3, output=30)))
    price = Price(version="v", since=0, rates=Rates(input=1, output=10), tiers=tiers)
    found = [rates_for(price, prompt).input for prompt in (0, 100, 101, 1000, 1001)]
    assert found == [1, 1, 2, 2, 3]
    assert cost(price, Tokens(input=50, cache_read=51, output=MILLION)) == 21  # the whole prompt counts for the tier


@given(prices(), with_sound())
def test_a_cost_is_the_exact_amount_rounded_up(price: Price, tokens: Tokens) -> None:
    rates = rates_for(price, tokens.prompt)
    write = rates.input if rates.cache_write is None else rates.cache_write
    read = rates.input if rates.cache_read is None else rates.cache_read
    heard_again = read if rates.input_audio is None else rates.input_audio
    exact = Fraction(
        (tokens.input - tokens.input_audio) * rates.input
        + tokens.input_audio * (rates.input if rates.input_audio is None else rates.input_audio)
        + (tokens.output - tokens.output_audio) * rates.output
        + tokens.output_audio * (rates.output if rates.output_audio is None else rates.output_audio)
        + (tokens.cache_read - tokens.cache_read_audio) * read
        + tokens.cache_read_audio * (heard_again if rates.cache_read_audio is None else rates.cache_read_audio)
        + tokens.cache_write * write
        + tokens.cache_write_1h * (write if rates.cache_write_1h is None else rates.cache_write_1h),
        MILLION,
    )
    assert 0 <= cost(price, tokens) - exact < 1


@given(prices(), with_sound(), COUNT, COUNT)
def test_no_call_costs_more_than_was_reserved_for_it(price: Price, tokens: Tokens, more: int, longer: int) -> None:
    heard, spoken = bool(tokens.input_audio or tokens.cache_read_audio), bool(tokens.output_audio)
    reserved = worst_cost(price, tokens.prompt + more, tokens.output + longer, hears=heard, speaks=spoken)
    assert cost(price, tokens) <= reserved
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
