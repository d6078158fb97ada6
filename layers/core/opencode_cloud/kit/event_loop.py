"""Watch an event loop: measure how long one step holds up all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from opencode_cloud.kit import log

LONGEST_STEP_SECONDS = 0.05
"""A longer step is reported. Every stream of the process waits for it."""
TICK_SECONDS = 0.02


async def watch(report: Callable[[float], None]) -> None:
    """Report every step of this loop that takes much longer than it should, in seconds, until cancelled.

    A step counts by its processor time. So a frozen or crowded machine does not count, and neither does a function
    between two invocations.
    """
    while True:
        began, used = time.monotonic(), time.thread_time()
        await asyncio.sleep(TICK_SECONDS)
        late = time.monotonic() - began - TICK_SECONDS
        stood = min(late, time.thread_time() - used)
        if stood > LONGEST_STEP_SECONDS:
            report(stood)


def log_step(seconds: float) -> None:
    """Count and log a step that held up every request, stream and socket of this process."""
    log.duration("LoopStoodStill", round(seconds * 1000))
    log.metrics.flush()
    log.logger.warning("the event loop stood still", extra={"milliseconds": round(seconds * 1000)})
