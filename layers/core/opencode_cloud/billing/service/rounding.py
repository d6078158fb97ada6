"""Round amounts for documents: the total once, and lines so that they add up to it (largest remainder)."""

from __future__ import annotations

from collections.abc import Sequence

from opencode_cloud.kit.money import CENT


def half_up(amount: int) -> int:
    """Return micro-cents rounded to whole cents, halves away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) + CENT) // (2 * CENT)) * CENT


def lines(amounts: Sequence[int]) -> list[int]:
    """Return micro-cents as whole cents, still in micro-cents, that sum to the rounded total.

    Each is rounded down, and the cents that are missing go to the largest remainders, the earlier line first.
    """
    total = half_up(sum(amounts))
    rounded = [amount // CENT * CENT for amount in amounts]
    missing = (total - sum(rounded)) // CENT
    order = sorted(range(len(amounts)), key=lambda index: (rounded[index] - amounts[index], index))
    for index in order[:missing]:
        rounded[index] += CENT
    return rounded
