"""Retries: one rule of pauses for all code that retries.

The rule is exponential backoff with full jitter: the pause before the next attempt is drawn evenly between 0 and a
ceiling, which doubles with each attempt up to a limit. The AWS Architecture Blog ("Exponential Backoff And Jitter")
shows that full jitter ends contention with the fewest calls; the AWS SDKs follow it in their standard mode.

tenacity and stamina offer the same rule. Both retry on exceptions, around a function. Half of our callers retry on a
value (unprocessed keys, a status, a lost race), and both would add a dependency to the functions with the shortest cold
start. So this module has the rule as a value with its bounds, and two drivers.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import TypeVar

import msgspec

from opencode_cloud.kit.ids import random_fraction

Result = TypeVar("Result")
Failure = TypeVar("Failure", bound=Exception)
_DOUBLINGS = 30  # with more doublings, every ceiling exceeds every limit, and floats would overflow


class Backoff(msgspec.Struct, frozen=True):
    """The bounds of retries.

    At least one of ``attempts`` and ``seconds`` is required, so that retries end.
    """

    first: float
    """Ceiling of the pause after the first attempt, in seconds. It doubles with each attempt."""
    longest: float
    """Limit of the ceiling, in seconds."""
    attempts: int | None = None
    """Number of attempts in all, the first one included."""
    seconds: float | None = None
    """Time after the start of the first attempt, from which at most one more attempt starts."""

    def __post_init__(self) -> None:
        if self.attempts is None and self.seconds is None:
            raise ValueError("a backoff is bounded by attempts or by seconds")

    def ceiling(self, attempt: int) -> float:
        """Return the longest pause after attempt number ``attempt`` (from 1), in seconds."""
        return min(self.longest, self.first * 2 ** min(attempt - 1, _DOUBLINGS))

    def pauses(
        self, *, draw: Callable[[], float] = random_fraction, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[float]:
        """Return the pauses between attempts, in seconds, one for each further attempt.

        The time for ``seconds`` runs from this call. ``draw`` returns numbers from 0 to 1.
        """
        return self._pauses(draw, clock, clock())

    def _pauses(self, draw: Callable[[], float], clock: Callable[[], float], began: float) -> Iterator[float]:
        for attempt in count(1):
            if self.attempts is not None and attempt >= self.attempts:
                return
            if self.seconds is not None and clock() - began > self.seconds:
                return
            yield self.ceiling(attempt) * draw()


def _always(_error: Exception) -> bool:
    return True


def retry(
    function: Callable[[], Result],
    backoff: Backoff,
    on: type[Failure],
    *,
    when: Callable[[Failure], bool] = _always,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Call ``function`` until it returns; retry errors of type ``on`` for which ``when`` holds.

    Raises the last attempt's error, and at once every other error.
    """
    for pause in backoff.pauses():
        try:
            return function()
        except on as error:
            if not when(error):
                raise
        sleep(pause)
    return function()


async def retry_async(
    function: Callable[[], Awaitable[Result]],
    backoff: Backoff,
    on: type[Failure],
    *,
    when: Callable[[Failure], bool] = _always,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> Result:
    """Do as :func:`retry`, on an event loop."""
    if sleep is None:
        from asyncio import sleep  # it takes 20 ms, and most functions have no event loop
    for pause in backoff.pauses():
        try:
            return await function()
        except on as error:
            if not when(error):
                raise
        await sleep(pause)
    return await function()
