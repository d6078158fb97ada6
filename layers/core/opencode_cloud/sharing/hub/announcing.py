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
"""Time between two looks at the viewers of a share that is published to all the time.

Records between them go to the viewers of the last look at once, and with the next look to those that have joined.
"""


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
        self._pending: dict[ShareId, list[Announcement]] = {}
        self._rounds: dict[ShareId, asyncio.Task[None]] = {}

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
        self._pending.setdefault(share.id, []).append(announcement)
        if share.id not in self._rounds:
            self._rounds[share.id] = asyncio.get_running_loop().create_task(self._run(share.id))

    async def settle(self) -> None:
        """Wait until all records so far were pushed."""
        while self._rounds:
            await asyncio.gather(*self._rounds.values(), return_exceptions=True)

    async def _run(self, share_id: ShareId) -> None:
        loop = asyncio.get_running_loop()
        share: Share | None = None
        known: Sequence[Viewer] = ()
        looked_at = -LOOK_SECONDS
        since_look: list[Announcement] = []
        try:
            while share_id in self._pending or since_look:
                announcements = self._pending.pop(share_id, [])
                if loop.time() - looked_at < LOOK_SECONDS:
                    if announcements:
                        await self._pushed(announcements, share, known)
                        since_look += announcements
                    else:
                        await asyncio.sleep(looked_at + LOOK_SECONDS - loop.time())
                    continue
                looked_at = loop.time()
                known_ids = {viewer.connection_id for viewer in known}
                seen = await loop.run_in_executor(self._threads, self._look, share_id)
                share = seen.share
                known = [viewer for viewer in seen.viewers if viewer.connection_id != self._delivery.address]
                joined = [viewer for viewer in known if viewer.connection_id not in known_ids]
                await self._pushed(since_look, share, joined)
                await self._pushed(announcements, share, known)
                since_look = []
        except Exception:  # noqa: BLE001 - push is best effort (docs/decisions/004)
            logger.exception("records could not be pushed")
        finally:
            del self._rounds[share_id]

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
