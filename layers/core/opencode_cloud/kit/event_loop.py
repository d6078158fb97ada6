"""Event loops: tasks that no request waits for, and a watch over steps that hold up all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from opencode_cloud.kit import log

LONGEST_STEP_SECONDS = 0.05
"""A longer step is reported. Every stream of the process waits for it."""
TICK_SECONDS = 0.02


class BackgroundTasks:
    """Tasks that no request waits for. An error ends its task only: it is logged, and counted as ``FailedTaskCount``.

    The event loop alone keeps no reference to a task, so it could be collected as garbage before its end.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task on the running event loop."""
        task = asyncio.get_running_loop().create_task(self._logging_errors(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for the end of all tasks that have started."""
        await asyncio.gather(*self._tasks)

    async def _logging_errors(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # noqa: BLE001 - the last resort: nothing waits for the result
            log.logger.exception("a background task failed")
            log.count("FailedTaskCount")


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
