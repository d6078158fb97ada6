"""Stacked bars over time, drawn as SVG by the server: whole numbers in, positions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

HEIGHT = 160
"""Height of the drawing, in its units; a bar of the highest tick fills it."""
STEP, BAR = 10, 8
"""Distance and width of bars, in units of the drawing."""
TICKS = 4
"""The number of parts into which the axis is divided."""
SERIES = 7
"""Number of colors: six groups, and the rest."""


class Segment(msgspec.Struct, frozen=True):
    """A part of a bar: one series at one time."""

    x: int
    y: float
    height: float
    series: int
    words: str


class Chart(msgspec.Struct, frozen=True):
    """A drawing with its axis and legend."""

    width: int
    segments: Sequence[Segment]
    ticks: Sequence[int]
    """Values of the axis from the top down, at equal distances."""
    times: Sequence[datetime]
    """The times that the axis names: the first, one in the middle, the last."""
    legend: Sequence[str]


def highest_tick(most: int) -> int:
    """Return the smallest number of the form 1, 2, 4 or 5 by a power of ten that is not below ``most``."""
    power = 1
    while True:
        for digit in (1, 2, 4, 5):
            if digit * power >= most and digit * power >= TICKS:
                return digit * power
        power *= 10


def stacked(
    times: Sequence[datetime], series: Sequence[tuple[str, Mapping[datetime, int]]], words: Sequence[Sequence[str]]
) -> Chart:
    """Return the drawing of ``series`` (name and values by time), of which the first is at the bottom.

    ``words`` describe each series at each time, for readers who point at a bar.
    """
    sums = [sum(values.get(time, 0) for _, values in series) for time in times]
    top = highest_tick(max(sums, default=0))
    segments: list[Segment] = []
    for place, time in enumerate(times):
        y = float(HEIGHT)
        for number, (_, values) in enumerate(series):
            value = values.get(time, 0)
            if value <= 0:
                continue
            # Any value above zero gets a visible segment.
            height = max(0.75, round(HEIGHT * value / top, 2))
            y = max(0.0, round(y - height, 2))
            segments.append(Segment(place * STEP + 1, y, height, number, words[number][place]))
    named = [times[0], times[len(times) // 2], times[-1]] if len(times) > 2 else list(times)
    return Chart(
        width=max(1, len(times)) * STEP,
        segments=segments,
        ticks=[top * part // TICKS for part in range(TICKS, -1, -1)],
        times=named,
        legend=[name for name, _ in series],
    )
