"""Where a hub becomes cheaper than functions."""

# pyright: strict

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.scale import functions_path, hub_path
from benchmarks.scale.facts import Facts
from benchmarks.scale.model import HOUR, Use, Workload, first

MOST_VIEWERS = 100_000.0
MOST_UPDATES_PER_SECOND = 100_000.0
HOURS_A_MONTH = 730
_STEPS = 60


def viewers(facts: Facts, updates_per_second: float, update_bytes: float = 1024.0) -> float | None:
    """Return the number of viewers at which both runtimes cost the same while the share is live.

    With more viewers the hub is cheaper. Return None if functions are cheaper up to 100,000 viewers, and 0.0 if the hub
    is cheaper without any viewer.
    """

    def functions_cost_more(count: float) -> bool:
        load = Workload(count, updates_per_second, update_bytes)
        return functions_path.cost(facts, load).total > hub_path.cost(facts, load).total

    return _boundary(functions_cost_more, 0.0, MOST_VIEWERS)


def live_hours(facts: Facts, load: Workload) -> float:
    """Return the hours a month that a share must be live, so that hubs that never stop cost the same as functions.

    More than 730 hours: functions are cheaper in any case.
    """
    idle = hub_path.cost(facts, Workload(0.0, 0.0, load.update_bytes)).total
    extra = hub_path.cost(facts, load).total - idle
    return HOURS_A_MONTH * idle / (functions_path.cost(facts, load).total - extra)


def frames(facts: Facts, load: Workload) -> float:
    """Return the frames a month to viewers at which hubs that never stop cost the same as functions."""
    return live_hours(facts, load) * HOUR * load.frames_per_second


def highest_rate(uses: Callable[[Workload], Sequence[Use]], load: Workload) -> float:
    """Return the highest number of updates per second at which a runtime exceeds none of its limits.

    ``uses`` returns the uses of the runtime's limits. The size and the audience are those of ``load``. 0.0: without any
    update, the audience exceeds a limit.
    """

    def too_many(rate: float) -> bool:
        return first(uses(Workload(load.viewers, rate, load.update_bytes))).used > 1

    return _boundary(too_many, 0.0, MOST_UPDATES_PER_SECOND) or 0.0


def _boundary(holds: Callable[[float], bool], low: float, high: float) -> float | None:
    """Return the number from which on ``holds`` is true; None if it is false at ``high``."""
    if holds(low):
        return low
    if not holds(high):
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
