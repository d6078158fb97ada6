"""How long to wait before the next attempt."""

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
    """Growth of the bound from one attempt to the next."""
    ceiling: float = 30.0
    """Largest bound, in seconds."""
    attempts: int | None = None
    """Attempts in a row without any progress before giving up; None: never."""

    def delay(self, attempt: int, uniform: Callable[[], float] = random.random) -> float:
        """Seconds to wait before attempt number `attempt` (the first is 1)."""
        exponent = min(attempt - 1, 64)  # beyond that every bound is the ceiling, and floats overflow
        return uniform() * min(self.ceiling, self.first * self.factor**exponent)

    def exhausted(self, failures: int) -> bool:
        """Whether `failures` in a row are as many as are permitted."""
        return self.attempts is not None and failures >= self.attempts
