"""An executor that runs one call when the test says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Steps(Executor):
    """Calls wait in ``waiting``, in their order."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run_one(self) -> None:
        """Run the call that waits longest, if any."""
        if self.waiting:
            future, work = self.waiting.popleft()
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - as an executor does
                future.set_exception(error)


async def pause() -> None:
    """Let all tasks do what they can."""
    for _ in range(6):
        await asyncio.sleep(0)
