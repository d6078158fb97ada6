"""Round amounts for documents: the total once, and lines so that they add up to it (largest remainder)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

CENT = 1_000_000
"""Micro-cents of a cent."""


def half_up(amount: int, unit: int = CENT) -> int:
    """Return an amount rounded to multiples of ``unit``, halves away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) + unit) // (2 * unit)) * unit


def lines(amounts: Sequence[int], unit: int = CENT) -> list[int]:
    """Return amounts in multiples of ``unit`` that sum to the rounded total.

    Each is rounded down, and the units that are missing go to the largest remainders, the earlier line first.
    """
    total = half_up(sum(amounts), unit)
    rounded = [amount // unit * unit for amount in amounts]
    missing = (total - sum(rounded)) // unit
    order = sorted(range(len(amounts)), key=lambda index: (rounded[index] - amounts[index], index))
    for index in order[:missing]:
        rounded[index] += unit
    return rounded


def marked_up(amount: int, factor: Fraction) -> int:
    """Return an amount times an exact factor, rounded half up to a whole micro-cent."""
    product = amount * factor
    sign = -1 if product < 0 else 1
    return sign * int(abs(product) + Fraction(1, 2))
