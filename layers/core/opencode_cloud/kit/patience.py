"""A timeout for many short waits of one task, which costs almost nothing for each.

``asyncio.timeout`` sets and cancels a timer for every wait, which takes 6 to 8 µs. Here one timer serves all waits. If
it fires before the end of the present wait, it resets itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


class Patience:
    """Bounds the waits of one task, one after another. :meth:`close` ends its timer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0
        self._until = 0.0
        self._waiting: asyncio.Task[object] | None = None
        self._expired = False

    async def wait(self, work: Awaitable[Result], seconds: float) -> Result:
        """Return the result of ``work``, or raise TimeoutError after ``seconds`` and cancel it."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Patience needs a task")
        self._expired, self._until = False, self._loop.time() + seconds
        if self._timer is None or self._fires_at > self._until:
            self._set()
        self._waiting, cancelling = task, task.cancelling()
        try:
            return await work
        except asyncio.CancelledError as error:
            # As in asyncio.timeout: another cancellation at the same time goes on.
            if self._expired and task.uncancel() <= cancelling:
                raise TimeoutError from error
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self.close()
        self._fires_at = self._until
        self._timer = self._loop.call_at(self._until, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._waiting is None:
            return  # the next wait sets the timer
        if self._loop.time() < self._until:
            self._set()
        else:
            self._expired = True
            self._waiting.cancel()
