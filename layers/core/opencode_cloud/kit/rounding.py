"""Round amounts for documents: the total once, and lines so that they add up to it (largest remainder)."""

from __future__ import annotations

from collections.abc import Sequence

from opencode_cloud.kit.money import CENT


def half_up(amount: int, unit: int = CENT) -> int:
    """Return an amount rounded to whole units, by default cents; halves go away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) + unit) // (2 * unit)) * unit


def lines(amounts: Sequence[int], unit: int = CENT) -> list[int]:
    """Return amounts in whole units, still in the unit of the amounts, that sum to the rounded total.

    Each is rounded down, and the units that are missing go to the largest remainders, the earlier line first.
    """
    total = half_up(sum(amounts), unit)
    rounded = [amount // unit * unit for amount in amounts]
    missing = (total - sum(rounded)) // unit
    order = sorted(range(len(amounts)), key=lambda index: (rounded[index] - amounts[index], index))
    for index in order[:missing]:
        rounded[index] += unit
    return rounded
