"""The speed of this machine, for tests that bound processor time."""

from __future__ import annotations

import time

STEPS = 200_000
USUAL_SECONDS = 0.010
"""Processor time of :data:`STEPS` on the machine for which the bounds of tests were chosen."""


def slowness() -> float:
    """Return how many times slower this machine is at the moment than the usual one; at least 1."""
    return max(1.0, min(_taken() for _ in range(3)) / USUAL_SECONDS)


def _taken() -> float:
    began, total = time.thread_time(), 0
    for number in range(STEPS):
        total += number
    return time.thread_time() - began
