"""Groups of publications: those that arrive while a share's last commit is under way are committed together next.

Publishers that each wait for their acknowledgement would fall into two groups that take turns, and each of them would
wait for two commits. So a busy share waits for the return of those that were just acknowledged, for a part of a
commit's time at most.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.errors import unexpected
from opencode_cloud.kit.event_loop import BackgroundTasks
from opencode_cloud.sharing.models import Commit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opencode_cloud.sharing.service.group_publishing import Announcement, GroupOutcome, Publication

GROUP_PUBLICATIONS = 256
GROUP_BYTES = 256 * 1024
"""Bytes of one group, so that its record fits into a row. A larger publication is committed alone."""

PATIENCE = 0.5
"""The part of the last commit's time for which a busy share waits."""
LONGEST_WAIT = 0.005
"""The longest wait in seconds."""

_Waiting = tuple["Publication", "asyncio.Future[Commit]"]


class _Queue:
    """The publications of one share that wait for their group."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self._expected = 0
        self._complete: asyncio.Future[None] | None = None

    def add(self, publication: Publication, done: asyncio.Future[Commit]) -> None:
        self.waiting.append((publication, done))
        if self._complete is not None and len(self.waiting) >= self._expected:
            self._end()

    async def gather(self, expected: int, seconds: float) -> None:
        """Wait until ``expected`` publications wait, for some seconds at most."""
        loop = asyncio.get_running_loop()
        self._expected, self._complete = expected, loop.create_future()
        alarm = loop.call_later(seconds, self._end)
        await self._complete
        alarm.cancel()

    def _end(self) -> None:
        if self._complete is not None:
            self._complete.set_result(None)
            self._complete = None


class GroupCommits:
    """Queues publications by share. An idle share's publication is committed at once."""

    def __init__(
        self,
        commit: Callable[[ShareId, Sequence[Publication]], GroupOutcome],
        announce: Callable[[Announcement], None],
        threads: Executor,
        *,
        patience: float = PATIENCE,
    ) -> None:
        """``commit`` blocks, so it runs on ``threads``. ``announce`` is called on the event loop after it."""
        self._commit = commit
        self._announce = announce
        self._threads = threads
        self._patience = patience
        self._queues: dict[ShareId, _Queue] = {}
        self._running = BackgroundTasks()

    async def publish(self, share_id: ShareId, publication: Publication) -> Commit:
        """Commit a publication, and return when it is durable. Raises the errors of ``Publishing.sync``."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Commit] = loop.create_future()
        queue = self._queues.get(share_id)
        if queue is None:
            queue = self._queues[share_id] = _Queue()
            self._running.start(self._run(share_id, queue))
        queue.add(publication, done)
        return await done

    async def settle(self) -> None:
        """Wait for all publications so far."""
        while self._queues:
            await self._running.settle()

    async def _run(self, share_id: ShareId, queue: _Queue) -> None:
        loop = asyncio.get_running_loop()
        try:
            while queue.waiting:
                group = _next_group(queue.waiting)
                began = time.monotonic()
                publications = [publication for publication, _ in group]
                try:
                    outcome = await loop.run_in_executor(self._threads, self._commit, share_id, publications)
                except Exception as error:  # noqa: BLE001 - each publisher gets it
                    for _, done in group:
                        _end(done, error)
                    continue
                for (_, done), result in zip(group, outcome.results, strict=True):
                    _end(done, result)
                if outcome.announcement is not None:
                    self._announce(outcome.announcement)
                if queue.waiting and self._patience:
                    wait = min((time.monotonic() - began) * self._patience, LONGEST_WAIT)
                    await queue.gather(min(len(queue.waiting) + len(group), GROUP_PUBLICATIONS), wait)
        finally:
            del self._queues[share_id]
            for _, done in queue.waiting:  # after a defect; it is logged
                _end(done, unexpected())


def _next_group(queue: deque[_Waiting]) -> list[_Waiting]:
    group: list[_Waiting] = []
    size = 0
    while queue and len(group) < GROUP_PUBLICATIONS:
        size += sum(len(item.data) for item in queue[0][0].items)
        if group and size > GROUP_BYTES:
            break
        group.append(queue.popleft())
    return group


def _end(done: asyncio.Future[Commit], result: Commit | Exception) -> None:
    if done.done():  # its client has left
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result(result)
