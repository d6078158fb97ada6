"""Waiting in tests: for a condition, with one deadline that also suits a busy machine. No test measures speed.

A pause of a guessed length is too short on a slow machine and too long on a fast one, so there is none here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds until an expected event counts as missing. An idle machine needs a fraction of it."""
PAUSE = 0.05
WINDOWS = 6


def until(probe: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Repeat ``probe`` until its value is true, and return that value; fail with the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds; the last value was {found!r}"
        time.sleep(PAUSE)
    return found


async def until_async(probe: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Do as :func:`until` does, without blocking the event loop."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds; the last value was {found!r}"
        await asyncio.sleep(PAUSE)
    return found


async def until_awaited(probe: Callable[[], Awaitable[T]], seconds: float = PATIENCE) -> T:
    """Do as :func:`until_async` does, with a probe that is awaited."""
    deadline = time.monotonic() + seconds
    while not (found := await probe()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds; the last value was {found!r}"
        await asyncio.sleep(PAUSE)
    return found


def eventually(probe: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Repeat ``probe`` until it raises no AssertionError, and return its value; raise the last one when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def in_one_window(attempt: Callable[[], T], seconds: int = 60) -> T:
    """Return the result of a run of ``attempt`` that lies within one window of the clock, of so many ``seconds``.

    Rate limits and budgets count by windows of UTC. A run across the turn of a window proves nothing, whether it
    passes or fails, so ``attempt`` is run again; it must begin with subjects of its own each time.
    """
    for _ in range(WINDOWS):
        window = time.time() // seconds
        try:
            result = attempt()
        except AssertionError:
            if time.time() // seconds == window:
                raise
        else:
            if time.time() // seconds == window:
                return result
    raise AssertionError(f"each of {WINDOWS} runs took longer than what was left of a window of {seconds} seconds")
