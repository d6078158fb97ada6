"""A limit of events a minute for each subject, in this process only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

WINDOW_SECONDS = 60


class Throttle:
    """Counts events in windows of a minute. It remembers the subjects of one window only."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``limit`` is the number of events a minute for each subject."""
        self._limit = limit
        self._clock = clock
        self._window = 0
        self._events: Counter[str] = Counter()

    def admits(self, subject: str) -> bool:
        """Count one event of ``subject``; tell whether it is within the limit."""
        window = int(self._clock() // WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._events.clear()
        self._events[subject] += 1
        return self._events[subject] <= self._limit
