"""A circuit breaker for each way to an upstream: after several failures in a row it rests, then it is tried again.

A process sees its own failures at once, and those of other processes a second later. Sharing matters because a function
serves one call at a time: alone it would wait for many first bytes before its circuit opened. The breaker only orders
attempts: a resting upstream is asked last, not never.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from opencode_cloud.gateway.models import Circuit, Failure

FAILURES = 3
"""Failures in a row after which an upstream rests."""
FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 60.0
_COUNTED = frozenset({Failure.UNREACHABLE, Failure.SLOW, Failure.BROKEN, Failure.BUSY, Failure.ACCOUNT})


class _CircuitState(msgspec.Struct):
    failures: int = 0
    rest: float = FIRST_REST_SECONDS
    closed_until: float = 0.0


class Health:
    """Circuits as this process knows them, one for each owner of a credential, upstream and model."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        publish: Callable[[Circuit], None] = lambda _: None,
    ) -> None:
        """``publish`` shares a failure with other processes; :meth:`update_shared` applies theirs."""
        self._clock = clock
        self._publish = publish
        self._circuits: dict[Circuit, _CircuitState] = {}
        self._shared: dict[str, Mapping[Circuit, float]] = {}

    def is_well(self, circuit: Circuit) -> bool:
        """Tell whether an upstream may be asked first.

        When its rest is over, the next caller tries it. For all others it keeps resting meanwhile.
        """
        now = self._clock()
        if self._shared.get(circuit.owner, {}).get(circuit, 0.0) > now:
            return False
        state = self._circuits.get(circuit)
        if state is None or state.failures < FAILURES:
            return True
        if now < state.closed_until:
            return False
        state.closed_until = now + state.rest
        return True

    def succeeded(self, circuit: Circuit) -> None:
        """Record that an upstream began an answer."""
        self._circuits.pop(circuit, None)

    def failed(self, circuit: Circuit, failure: Failure) -> None:
        """Record a failed attempt. Failures by the request itself or by a credential do not count."""
        if failure not in _COUNTED:
            return
        self._publish(circuit)
        state = self._circuits.setdefault(circuit, _CircuitState())
        state.failures += 1
        if state.failures >= FAILURES:
            state.closed_until = self._clock() + state.rest
            state.rest = min(state.rest * 2, LONGEST_REST_SECONDS)

    def update_shared(self, owner: str, rests: Mapping[Circuit, float]) -> None:
        """Apply the ends of rests (seconds since the epoch) that result from failures of all processes.

        ``rests`` are all the circuits of one owner that rest.
        """
        if rests:
            self._shared[owner] = rests
        else:
            self._shared.pop(owner, None)
