"""One parallel round of calls: the pool of threads that an execution environment keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WIDTH = 32
Argument = TypeVar("Argument")
Result = TypeVar("Result")


class _Pool:
    """Runs each call in the context of its caller, so that its log records have the caller's correlation id."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Begin to call ``function`` with ``arguments`` on a thread."""
        return self._threads.submit(copy_context().run, function, *arguments)


@cache
def pool() -> _Pool:
    """Return the pool; made on first use, since threads do not survive a SnapStart snapshot."""
    from concurrent.futures import ThreadPoolExecutor  # a fiftieth of the start of a lean function

    return _Pool(ThreadPoolExecutor(WIDTH, thread_name_prefix="parallel"))


def parallel_map(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Sequence[Result]:
    """Call ``function`` with each argument on threads of the pool; return the results in order.

    The first error is raised after all calls have ended. ``function`` must not call this itself.
    """
    calls = list(arguments)
    if len(calls) < 2:
        return [function(argument) for argument in calls]
    futures = [pool().submit(function, argument) for argument in calls]
    for future in futures:
        future.exception()
    return [future.result() for future in futures]
