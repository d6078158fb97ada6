"""Telling a share's viewers of a record: this process's sockets at once, then other hubs and API Gateway's sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
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
        self.is_due = False
        """True when the viewers must be looked at again."""

    def end(self) -> None:
        """Have the viewers looked at again."""
        self.is_due = True
        self.woken.set()


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
        self._running: set[asyncio.Task[None]] = set()
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
            task = asyncio.get_running_loop().create_task(self._run(share.id, round_))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        round_.waiting.append(announcement)
        round_.woken.set()

    async def settle(self) -> None:
        """Wait until all records so far were pushed."""
        self._settling = True
        for round_ in self._rounds.values():
            round_.woken.set()
        await asyncio.gather(*self._running)

    async def _run(self, share_id: ShareId, round_: _Round) -> None:
        """Push the records of a share, until none has come between two looks."""
        loop = asyncio.get_running_loop()
        share: Share | None = None
        known: Sequence[Viewer] = ()
        since_look: list[Announcement] = []
        try:
            while round_.waiting or since_look:
                looked_at = loop.time()
                announcements, round_.waiting = round_.waiting, []
                known_ids = {viewer.connection_id for viewer in known}
                seen = await loop.run_in_executor(self._threads, self._look, share_id)
                share = seen.share
                known = [viewer for viewer in seen.viewers if viewer.connection_id != self._delivery.address]
                joined = [viewer for viewer in known if viewer.connection_id not in known_ids]
                await self._pushed(since_look, share, joined)
                await self._pushed(announcements, share, known)
                since_look = await self._pushed_until(looked_at + LOOK_SECONDS, round_, share, known)
        except Exception:  # noqa: BLE001 - push is best effort (docs/decisions/004)
            logger.exception("records could not be pushed")
        finally:
            del self._rounds[share_id]

    async def _pushed_until(
        self, deadline: float, round_: _Round, share: Share | None, known: Sequence[Viewer]
    ) -> list[Announcement]:
        """Push what is announced until ``deadline`` (of the loop) to the ``known`` viewers, and return it."""
        pushed: list[Announcement] = []
        round_.is_due = False
        alarm = asyncio.get_running_loop().call_at(deadline, round_.end)
        while not (round_.is_due or self._settling):
            announcements, round_.waiting = round_.waiting, []
            await self._pushed(announcements, share, known)
            pushed += announcements
            if not round_.waiting:
                round_.woken.clear()
                await round_.woken.wait()
        alarm.cancel()
        return pushed

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
