"""One parallel round of calls: the pool of threads that an execution environment keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Any, TypeVar

WIDTH = 32
Argument = TypeVar("Argument")
Result = TypeVar("Result")


class _Pool(ThreadPoolExecutor):
    """Runs each call in the context of its caller, so that its log records have the caller's correlation id."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        return super().submit(copy_context().run, fn, *args, **kwargs)


@cache
def pool() -> ThreadPoolExecutor:
    """Return the pool; made on first use, since threads do not survive a SnapStart snapshot."""
    return _Pool(WIDTH, thread_name_prefix="parallel")


def parallel_map(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Sequence[Result]:
    """Call ``function`` with every argument, in parallel where there is more than one; results in order.

    The first exception is raised after all calls have ended.
    """
    calls = list(arguments)
    if len(calls) < 2:
        return [function(argument) for argument in calls]
    futures = [pool().submit(function, argument) for argument in calls]
    for future in futures:
        future.exception()
    return [future.result() for future in futures]
