"""Telling a share's viewers of a record: this process's sockets at once, then other hubs and API Gateway's sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.event_loop import BackgroundTasks
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.service.fan_out import INLINE_VIEWERS
from opencode_cloud.sharing.service.hubs import HubPost

if TYPE_CHECKING:
    from opencode_cloud.sharing.hub.delivery import HubDelivery
    from opencode_cloud.sharing.models import Mode, Share, Viewer
    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.service.group_publishing import Announcement
    from opencode_cloud.sharing.service.hubs import Hubs
    from opencode_cloud.sharing.store import Head, Tasks

LOOK_SECONDS = 0.25
"""Time between two looks at the viewers of a share.

Records between them go to the viewers of the last look at once, and with the next look to those that have joined.
"""


class _Round:
    """The records of one share that its viewers elsewhere have not been told of."""

    def __init__(self) -> None:
        self.waiting: list[Announcement] = []
        self.woken = asyncio.Event()

    def add(self, announcement: Announcement) -> None:
        self.waiting.append(announcement)
        self.woken.set()

    def take(self) -> list[Announcement]:
        taken, self.waiting = self.waiting, []
        self.woken.clear()
        return taken


class Announcing:
    """Announces records.

    A viewer joins before it reads the log. So a look at the viewers after the commit finds it, or it has read the
    record.
    """

    def __init__(
        self,
        delivery: HubDelivery,
        look: Callable[[ShareId], Head],
        audience: Callable[[Share], Mode | None],
        fan_out: FanOut,
        hubs: Hubs,
        tasks: Tasks,
        threads: Executor,
    ) -> None:
        """``look`` reads a share and its viewers, and ``audience`` says who may read it. Both run on ``threads``."""
        self._delivery = delivery
        self._look = look
        self._audience = audience
        self._fan_out = fan_out
        self._hubs = hubs
        self._tasks = tasks
        self._threads = threads
        self._rounds: dict[ShareId, _Round] = {}
        self._running = BackgroundTasks()
        self._settling = False

    def announce(self, announcement: Announcement) -> None:
        """Tell the viewers of a durable record, from the event loop and without waiting."""
        share = announcement.share
        post = HubPost(
            kind="record",
            share_id=share.id,
            first=announcement.record.first,
            record=announcement.record,
            pseudonym=share.pseudonym,
            mode=announcement.mode,
            stale=announcement.stale,
        )
        self._delivery.deliver(post, share)
        round_ = self._rounds.get(share.id)
        if round_ is None:
            round_ = self._rounds[share.id] = _Round()
            self._running.start(self._run(share.id, round_))
        round_.add(announcement)

    async def settle(self) -> None:
        """Wait until all records so far were pushed."""
        self._settling = True
        for round_ in self._rounds.values():
            round_.woken.set()
        await self._running.settle()

    async def _run(self, share_id: ShareId, round_: _Round) -> None:
        """Push the records of a share, until none has come between two looks."""
        known: Sequence[Viewer] = ()
        since_look: Sequence[Announcement] = ()
        while round_.waiting or since_look:
            try:
                known, since_look = await self._pushed_between_looks(share_id, round_, known, since_look)
            except Exception:  # noqa: BLE001 - push is best effort (docs/decisions/004): viewers see the gap, and resume
                logger.exception("records could not be pushed")
                log.count("FailedPostCount")
                known, since_look = (), ()
        del self._rounds[share_id]

    async def _pushed_between_looks(
        self, share_id: ShareId, round_: _Round, known: Sequence[Viewer], since_look: Sequence[Announcement]
    ) -> tuple[Sequence[Viewer], Sequence[Announcement]]:
        """Look at the viewers, and push until the next look is due; return the viewers, and what came after the look.

        ``known`` are the viewers of the last look. Those that have joined are also sent what came since then.
        """
        loop = asyncio.get_running_loop()
        next_look = loop.time() + LOOK_SECONDS
        announcements = round_.take()
        known_ids = {viewer.connection_id for viewer in known}
        seen = await loop.run_in_executor(self._threads, self._look, share_id)
        viewers = [viewer for viewer in seen.viewers if viewer.connection_id != self._delivery.address]
        joined = [viewer for viewer in viewers if viewer.connection_id not in known_ids]
        await self._pushed(since_look, seen.share, joined)
        await self._pushed(announcements, seen.share, viewers)
        pushed: list[Announcement] = []
        while not self._settling and loop.time() < next_look:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_look):
                    await round_.woken.wait()
            announcements = round_.take()
            await self._pushed(announcements, seen.share, viewers)
            pushed += announcements
        return viewers, pushed

    async def _pushed(
        self, announcements: Sequence[Announcement], share: Share | None, viewers: Sequence[Viewer]
    ) -> None:
        if announcements and viewers and share is not None:
            push = self._push, announcements, share, viewers
            await asyncio.get_running_loop().run_in_executor(self._threads, *push)

    def _push(self, announcements: Sequence[Announcement], share: Share, viewers: Sequence[Viewer]) -> None:
        for each in announcements:
            # Judge viewers by the share that they joined. Its audience may have changed since the commit.
            mode = each.mode if share.ownership == each.share.ownership else self._audience(share)
            if len(viewers) <= INLINE_VIEWERS:
                self._fan_out.push(share, each.record, viewers, each.stale, mode)
            else:
                others = self._hubs.push(share, each.record, viewers, each.stale, mode)
                self._tasks.push(share.id, each.record.first, others)
