"""Telling a share's viewers of a record: this process's sockets at once, then other hubs and API Gateway's sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.service.fan_out import INLINE_VIEWERS
from opencode_cloud.sharing.service.hubs import HubPost

if TYPE_CHECKING:
    from opencode_cloud.sharing.hub.delivery import HubDelivery
    from opencode_cloud.sharing.hub.store import HubShareStore
    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.service.group_publishing import Announcement
    from opencode_cloud.sharing.service.hubs import Hubs
    from opencode_cloud.sharing.store import Tasks

PAUSE_SECONDS = 0.02
"""Time between two looks at the viewers of a share that is published to all the time."""


class Announcing:
    """Announces records.

    A viewer joins before it reads the log. So a look at the viewers after the commit finds it, or it has read the
    record.
    """

    def __init__(
        self,
        delivery: HubDelivery,
        store: HubShareStore,
        fan_out: FanOut,
        hubs: Hubs,
        tasks: Tasks,
        threads: Executor,
    ) -> None:
        self._delivery = delivery
        self._store = store
        self._fan_out = fan_out
        self._hubs = hubs
        self._tasks = tasks
        self._threads = threads
        self._pending: dict[ShareId, list[Announcement]] = {}
        self._looks: dict[ShareId, asyncio.Task[None]] = {}

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
        if share.id not in self._looks:
            self._looks[share.id] = asyncio.get_running_loop().create_task(self._look(share.id))

    async def settle(self) -> None:
        """Wait until all records so far were pushed."""
        while self._looks:
            await asyncio.gather(*self._looks.values(), return_exceptions=True)

    async def _look(self, share_id: ShareId) -> None:
        loop = asyncio.get_running_loop()
        try:
            while announcements := self._pending.pop(share_id, None):
                try:
                    await loop.run_in_executor(self._threads, self._push, share_id, announcements)
                except Exception:  # noqa: BLE001 - push is best effort (docs/decisions/004)
                    logger.exception("records could not be pushed")
                if share_id in self._pending:
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            del self._looks[share_id]

    def _push(self, share_id: ShareId, announcements: Sequence[Announcement]) -> None:
        viewers = self._store.remote_viewers(share_id)
        if not viewers:
            return
        for each in announcements:
            if len(viewers) <= INLINE_VIEWERS:
                self._fan_out.push(each.share, each.record, viewers, each.stale, each.mode)
            else:
                others = self._hubs.push(each.share, each.record, viewers, each.stale, each.mode)
                self._tasks.push(share_id, each.record.first, others)
