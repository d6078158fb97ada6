"""A circuit breaker for each upstream: who failed several times in a row is left alone for a while, then tried again.

Each process knows what it saw itself at once, and what others saw a second later: a function serves one call at a time,
so alone it would have to wait for many first bytes that never come before it knew. All of this only orders attempts;
who is left alone is asked last, not never.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opencode_cloud.gateway.models import Failure

FAILURES = 3
"""In a row, until an upstream is left alone."""
FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 60.0
_COUNTED = frozenset({Failure.UNREACHABLE, Failure.SLOW, Failure.BROKEN, Failure.BUSY})

Circuit = tuple[str, str]
"""An upstream, and its name of a model."""


@dataclass(slots=True)
class _Known:
    failures: int = 0
    rest: float = FIRST_REST_SECONDS
    closed_until: float = 0.0


class Health:
    """What this process knows of upstreams; a circuit for each upstream and model."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        tell: Callable[[Circuit], None] = lambda _: None,
    ) -> None:
        """``tell`` lets other processes know of a failure; what they know comes in by :meth:`heard`."""
        self._clock = clock
        self._tell = tell
        self._circuits: dict[Circuit, _Known] = {}
        self._heard: Mapping[Circuit, float] = {}

    def is_well(self, upstream: str, model: str) -> bool:
        """Tell whether an upstream may be asked first.

        When its rest is over, the next caller tries it, and meanwhile it goes on resting for all others.
        """
        now = self._clock()
        if self._heard.get((upstream, model), 0.0) > now:
            return False
        circuit = self._circuits.get((upstream, model))
        if circuit is None or circuit.failures < FAILURES:
            return True
        if now < circuit.closed_until:
            return False
        circuit.closed_until = now + circuit.rest
        return True

    def succeeded(self, upstream: str, model: str) -> None:
        """Note that an upstream began an answer."""
        self._circuits.pop((upstream, model), None)

    def failed(self, upstream: str, model: str, failure: Failure) -> None:
        """Note that an attempt failed; what the request itself or a credential is at fault for does not count."""
        if failure not in _COUNTED:
            return
        self._tell((upstream, model))
        circuit = self._circuits.setdefault((upstream, model), _Known())
        circuit.failures += 1
        if circuit.failures >= FAILURES:
            circuit.closed_until = self._clock() + circuit.rest
            circuit.rest = min(circuit.rest * 2, LONGEST_REST_SECONDS)

    def heard(self, rests: Mapping[Circuit, float]) -> None:
        """Take in until when (seconds since the epoch) upstreams rest by what all processes saw together."""
        self._heard = rests
