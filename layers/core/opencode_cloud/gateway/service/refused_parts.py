"""Parts of requests that upstreams refused lately. The next calls do without them at once, instead of asking twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from opencode_cloud.gateway.models import Circuit

REMEMBERED_SECONDS = 600.0
"""A server that learns a part gets it again after this time."""
MOST_CIRCUITS = 1000


class RefusedParts:
    """The parts of requests that each upstream refused, as this process knows them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused: dict[Circuit, tuple[frozenset[str], float]] = {}

    def of(self, circuit: Circuit) -> frozenset[str]:
        """Return the parts that an upstream does not know."""
        names, until = self._refused.get(circuit, (frozenset[str](), 0.0))
        return names if until > self._clock() else frozenset()

    def note(self, circuit: Circuit, names: Iterable[str]) -> None:
        """Remember that an upstream refused parts."""
        known = self.of(circuit)
        # The oldest entry goes first, so that the dictionary stays small.
        self._refused.pop(circuit, None)
        if len(self._refused) >= MOST_CIRCUITS:
            del self._refused[next(iter(self._refused))]
        self._refused[circuit] = (known.union(names), self._clock() + REMEMBERED_SECONDS)
