"""Groups of publications: those that arrive while a share's last commit is under way are committed together next."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Commit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opencode_cloud.sharing.service.group_publishing import Announcement, GroupOutcome, Publication

GROUP_PUBLICATIONS = 256
GROUP_BYTES = 256 * 1024
"""Bytes of one group, so that its record fits into a row. A larger publication is committed alone."""

_Waiting = tuple["Publication", "asyncio.Future[Commit]"]


class GroupCommits:
    """Queues publications by share. An idle share's publication is committed at once."""

    def __init__(
        self,
        commit: Callable[[ShareId, Sequence[Publication]], GroupOutcome],
        announce: Callable[[Announcement], None],
        threads: Executor,
    ) -> None:
        """``commit`` blocks, so it runs on ``threads``. ``announce`` is called on the event loop after it."""
        self._commit = commit
        self._announce = announce
        self._threads = threads
        self._waiting: dict[ShareId, deque[_Waiting]] = {}
        self._rounds: dict[ShareId, asyncio.Task[None]] = {}

    async def publish(self, share_id: ShareId, publication: Publication) -> Commit:
        """Commit a publication, and return when it is durable. Raises the errors of ``Publishing.sync``."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Commit] = loop.create_future()
        self._waiting.setdefault(share_id, deque()).append((publication, done))
        if share_id not in self._rounds:
            self._rounds[share_id] = loop.create_task(self._run(share_id))
        return await done

    async def settle(self) -> None:
        """Wait for all publications so far."""
        while self._rounds:
            await asyncio.gather(*self._rounds.values(), return_exceptions=True)

    async def _run(self, share_id: ShareId) -> None:
        queue = self._waiting[share_id]
        loop = asyncio.get_running_loop()
        try:
            while queue:
                group = _next_group(queue)
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
        finally:
            del self._rounds[share_id], self._waiting[share_id]


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
