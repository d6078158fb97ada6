"""Calculate costs of tokens in integers. A fraction of a micro-cent is rounded up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from opencode_cloud.catalogue.models import MILLION, STANDARD_TIER, Price, Rates, ServiceTier
from opencode_cloud.contracts.usage import Tokens

RateTable: TypeAlias = Price | ServiceTier
"""Rates of one service tier, with other ones for long prompts."""
CHEAPER_TIERS = frozenset({"flex", "batch"})
"""Service tiers that no vendor sells above the standard price."""
_HUNDRED = 100


def cost(price: RateTable, tokens: Tokens) -> int:
    """Return the cost of a call by the rates of one service tier, in micro-cents."""
    rates = rates_for(price, tokens.prompt)
    write = _or(rates.cache_write, rates.input)
    total = (
        (tokens.input - tokens.input_audio) * rates.input
        + tokens.input_audio * _or(rates.input_audio, rates.input)
        + (tokens.output - tokens.output_audio) * rates.output
        + tokens.output_audio * _or(rates.output_audio, rates.output)
        + (tokens.cache_read - tokens.cache_read_audio) * _or(rates.cache_read, rates.input)
        + tokens.cache_read_audio * _cached_audio(rates)
        + tokens.cache_write * write
        + tokens.cache_write_1h * _or(rates.cache_write_1h, write)
    )
    return _whole(total)


def table_of(price: Price, tier: str) -> RateTable | None:
    """Return the rates of a service tier; None if it has no price."""
    return price if tier == STANDARD_TIER else price.service_tiers.get(tier)


def unpriced_cost(price: Price, tokens: Tokens, tier: str, percent: int) -> int:
    """Return the cost of a call that was served by a ``tier`` without a price, in micro-cents.

    It is ``percent`` of the standard cost, and the standard cost itself for tiers that are cheaper at every vendor.
    """
    standard = cost(price, tokens)
    return standard if tier in CHEAPER_TIERS else -(-standard * percent // _HUNDRED)


def worst_cost(
    price: Price, prompt: int, output: int, tiers: Iterable[str] = (), *, hears: bool = False, speaks: bool = False
) -> int:
    """Return the most that a call with at most ``prompt`` and ``output`` tokens can cost, in micro-cents.

    Each token of the prompt may be of the most expensive kind, for each length that the prompt can reach. The call may
    be served by the standard tier and by each of ``tiers``, which have prices. With ``hears`` the prompt may have
    sound, with ``speaks`` the answer.
    """
    tables: list[RateTable] = [price, *(price.service_tiers[tier] for tier in tiers)]
    reachable = [rates for table in tables for rates in _reachable(table, prompt)]
    return max(
        _whole(prompt * _dearest_input(rates, hears=hears) + output * _dearest_output(rates, speaks=speaks))
        for rates in reachable
    )


def rates_for(price: RateTable, prompt: int) -> Rates:
    """Return the rates of a call whose prompt has ``prompt`` tokens."""
    return next((tier.rates for tier in reversed(price.tiers) if prompt > tier.above), price.rates)


def _dearest_input(rates: Rates, *, hears: bool) -> int:
    write = _or(rates.cache_write, rates.input)
    text = max(rates.input, _or(rates.cache_read, rates.input), write, _or(rates.cache_write_1h, write))
    return max(text, _or(rates.input_audio, rates.input), _cached_audio(rates)) if hears else text


def _dearest_output(rates: Rates, *, speaks: bool) -> int:
    return max(rates.output, _or(rates.output_audio, rates.output)) if speaks else rates.output


def _cached_audio(rates: Rates) -> int:
    """Return the rate of sound that was read from a cache: as text, where sound has no rate of its own."""
    if rates.cache_read_audio is not None:
        return rates.cache_read_audio
    return _or(rates.cache_read, rates.input) if rates.input_audio is None else rates.input_audio


def _reachable(table: RateTable, prompt: int) -> list[Rates]:
    return [table.rates, *(tier.rates for tier in table.tiers if prompt > tier.above)]


def _or(rate: int | None, other: int) -> int:
    return other if rate is None else rate


def _whole(scaled: int) -> int:
    return -(-scaled // MILLION)
