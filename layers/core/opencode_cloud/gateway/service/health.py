"""A circuit breaker for each upstream: after several failures in a row it rests for a while, then it is tried again.

A process sees its own failures at once, and those of other processes a second later. Sharing matters because a function
serves one call at a time: alone it would wait for many first bytes before its circuit opened. The breaker only orders
attempts: a resting upstream is asked last, not never.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opencode_cloud.gateway.models import Failure

FAILURES = 3
"""Failures in a row after which an upstream rests."""
FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 60.0
_COUNTED = frozenset({Failure.UNREACHABLE, Failure.SLOW, Failure.BROKEN, Failure.BUSY})

Circuit = tuple[str, str]
"""An upstream's id, and its name for a model."""


@dataclass(slots=True)
class _CircuitState:
    failures: int = 0
    rest: float = FIRST_REST_SECONDS
    closed_until: float = 0.0


class Health:
    """Circuits as this process knows them, one for each upstream and model."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        publish: Callable[[Circuit], None] = lambda _: None,
    ) -> None:
        """``publish`` shares a failure with other processes; :meth:`update_shared` applies theirs."""
        self._clock = clock
        self._publish = publish
        self._circuits: dict[Circuit, _CircuitState] = {}
        self._shared: Mapping[Circuit, float] = {}

    def is_well(self, upstream: str, model: str) -> bool:
        """Tell whether an upstream may be asked first.

        When its rest is over, the next caller tries it. For all others it keeps resting meanwhile.
        """
        now = self._clock()
        if self._shared.get((upstream, model), 0.0) > now:
            return False
        circuit = self._circuits.get((upstream, model))
        if circuit is None or circuit.failures < FAILURES:
            return True
        if now < circuit.closed_until:
            return False
        circuit.closed_until = now + circuit.rest
        return True

    def succeeded(self, upstream: str, model: str) -> None:
        """Record that an upstream began an answer."""
        self._circuits.pop((upstream, model), None)

    def failed(self, upstream: str, model: str, failure: Failure) -> None:
        """Record a failed attempt. Failures by the request itself or by a credential do not count."""
        if failure not in _COUNTED:
            return
        self._publish((upstream, model))
        circuit = self._circuits.setdefault((upstream, model), _CircuitState())
        circuit.failures += 1
        if circuit.failures >= FAILURES:
            circuit.closed_until = self._clock() + circuit.rest
            circuit.rest = min(circuit.rest * 2, LONGEST_REST_SECONDS)

    def update_shared(self, rests: Mapping[Circuit, float]) -> None:
        """Apply the ends of rests (seconds since the epoch) that result from failures of all processes."""
        self._shared = rests
