"""The pauses between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter: a uniformly random wait below a doubling bound.

    Full jitter, because a server that restarts drops all its viewers at the same instant.
    """

    first: float = 0.25
    """Bound of the first wait, in seconds."""
    factor: float = 2.0
    """Factor of the bound from one attempt to the next."""
    ceiling: float = 30.0
    """Largest bound, in seconds."""
    attempts: int | None = None
    """Number of attempts in a row without progress before the last error is raised; None: no limit."""

    def delay(self, attempt: int, uniform: Callable[[], float] = random.random) -> float:
        """Return the seconds to wait before attempt number `attempt` (the first is 1)."""
        exponent = min(attempt - 1, 64)  # beyond that every bound is the ceiling, and floats overflow
        return uniform() * min(self.ceiling, self.first * self.factor**exponent)

    def exhausted(self, failures: int) -> bool:
        """Tell whether the permitted number of failures in a row is reached."""
        return self.attempts is not None and failures >= self.attempts
