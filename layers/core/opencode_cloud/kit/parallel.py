"""One parallel round of calls: the pool of threads that an execution environment keeps.

``concurrent.futures`` offers the same and more. Its import is a fiftieth of the start of a lean function, for
callbacks, cancellation and timeouts that nothing here uses.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from functools import cache
from typing import Any, Generic, TypeVar, cast

WIDTH = 32
Argument = TypeVar("Argument")
Result = TypeVar("Result")


class ThreadCall(Generic[Result]):
    """A call on a thread of the pool."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._running = threading.Lock()
        self._running.acquire()

    def run(self) -> None:
        """Make the call. An error is kept for :meth:`result`."""
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        finally:
            del self._function
            self._running.release()

    def exception(self) -> BaseException | None:
        """Return the error when the call has ended; None without one."""
        with self._running:
            return self._error

    def result(self) -> Result:
        """Return the result when the call has ended, or raise its error."""
        if (error := self.exception()) is not None:
            raise error
        return cast("Result", self._result)


class CallPool:
    """Up to ``width`` threads, started when calls wait for one.

    Each call runs in the context of its caller, so that its log records have the caller's correlation id.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._waiting: deque[ThreadCall[Any]] = deque()
        self._threads = self._idle = 0
        lock = threading.Lock()
        self._submitted, self._idled = threading.Condition(lock), threading.Condition(lock)

    def submit(self, function: Callable[..., Result], *arguments: Any) -> ThreadCall[Result]:
        """Begin to call ``function`` with ``arguments`` on a thread. Raises RuntimeError if none can be started."""
        context = copy_context()
        call = ThreadCall(lambda: context.run(function, *arguments))
        with self._submitted:
            self._waiting.append(call)
            starts = self._threads < self._width and len(self._waiting) > self._idle
            if starts:
                self._threads += 1
            else:
                self._submitted.notify()
        if starts:
            self._start(call)
        return call

    def _start(self, call: ThreadCall[Any]) -> None:
        try:
            threading.Thread(target=self._work, name="parallel", daemon=True).start()
        except RuntimeError:
            with self._submitted:
                self._threads -= 1
                if call in self._waiting:
                    self._waiting.remove(call)
            raise

    def finish(self) -> None:
        """Return when no call waits or runs."""
        with self._idled:
            self._idled.wait_for(lambda: not self._waiting and self._idle == self._threads)

    def _work(self) -> None:
        while True:
            with self._submitted:
                self._idle += 1
                self._idled.notify_all()
                while not self._waiting:
                    self._submitted.wait()
                self._idle -= 1
                call = self._waiting.popleft()
            call.run()
            del call


@cache
def pool() -> CallPool:
    """Return the pool; made on first use, since threads do not survive a SnapStart snapshot."""
    made = CallPool(WIDTH)
    atexit.register(made.finish)
    return made


def parallel_map(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Sequence[Result]:
    """Call ``function`` with every argument, in parallel where there is more than one; results in order.

    The first exception is raised after all calls have ended.
    """
    calls = list(arguments)
    if len(calls) < 2:
        return [function(argument) for argument in calls]
    begun = [pool().submit(function, argument) for argument in calls]
    for call in begun:
        call.exception()
    return [call.result() for call in begun]
