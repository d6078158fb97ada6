"""The computation of percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

NANOSECONDS = 1_000_000  # in a millisecond


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of ``values``, which need not be sorted; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else 0.0


def milliseconds(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Summarize durations in nanoseconds as milliseconds: count, p50, p99, maximum."""
    values = [value / NANOSECONDS for value in nanoseconds]
    return {
        "count": len(values),
        "p50_ms": round(percentile(values, 50), 3),
        "p99_ms": round(percentile(values, 99), 3),
        "max_ms": round(max(values, default=0), 3),
    }
