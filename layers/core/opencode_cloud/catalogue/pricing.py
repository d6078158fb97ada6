"""Calculate costs of tokens in integers. A fraction of a micro-cent is rounded up."""

from __future__ import annotations

from opencode_cloud.catalogue.models import MILLION, Price, Rates
from opencode_cloud.contracts.usage import Tokens


def cost(price: Price, tokens: Tokens) -> int:
    """Return the cost of a call, in micro-cents."""
    rates = rates_for(price, tokens.prompt)
    write = _or(rates.cache_write, rates.input)
    total = (
        tokens.input * rates.input
        + tokens.output * rates.output
        + tokens.cache_read * _or(rates.cache_read, rates.input)
        + tokens.cache_write * write
        + tokens.cache_write_1h * _or(rates.cache_write_1h, write)
    )
    return _whole(total)


def worst_cost(price: Price, prompt: int, output: int) -> int:
    """Return the most that a call with at most ``prompt`` and ``output`` tokens can cost, in micro-cents.

    Each token of the prompt may be of the most expensive kind, in each tier that the prompt can reach.
    """
    reachable = [price.rates, *(tier.rates for tier in price.tiers if prompt > tier.above)]
    return max(_whole(prompt * dearest_input(rates) + output * rates.output) for rates in reachable)


def rates_for(price: Price, prompt: int) -> Rates:
    """Return the rates of a call whose prompt has ``prompt`` tokens."""
    return next((tier.rates for tier in reversed(price.tiers) if prompt > tier.above), price.rates)


def dearest_input(rates: Rates) -> int:
    """Return the highest rate of a prompt token, in micro-cents per million."""
    write = _or(rates.cache_write, rates.input)
    return max(rates.input, _or(rates.cache_read, rates.input), write, _or(rates.cache_write_1h, write))


def _or(rate: int | None, other: int) -> int:
    return other if rate is None else rate


def _whole(scaled: int) -> int:
    return -(-scaled // MILLION)
