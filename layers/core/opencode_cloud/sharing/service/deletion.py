"""Deletion of shares (docs/decisions/006): gone at once for everyone, then purged, then verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import ShareId, WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import DAY_SECONDS, day_of, now_ms, now_seconds
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Protocol, Share, ShareCursor, State, Tombstone, share_not_found
from opencode_cloud.sharing.service.access import check_secret
from opencode_cloud.sharing.service.fan_out import INLINE_VIEWERS

if TYPE_CHECKING:
    from opencode_cloud.sharing.service.fan_out import ViewerSockets
    from opencode_cloud.sharing.store import ObjectStore, ShareStore, Tasks

VERIFY_AFTER_SECONDS = 45  # longer than any writer that had begun before the removal can run (timeouts: 29 and 40 s)
PAGE = 100
_DAYS_BACK = 8  # the longest outage of the schedule, in days, that sweeps recover from


class ShareDeletion:
    """Removes shares and proves that nothing of them is left."""

    def __init__(self, store: ShareStore, objects: ObjectStore, viewer_sockets: ViewerSockets, tasks: Tasks) -> None:
        self._store = store
        self._objects = objects
        self._viewer_sockets = viewer_sockets
        self._tasks = tasks

    def unshare(self, share_id: ShareId, secret: str) -> Share | None:
        """Remove a share by its secret and return it as it was; None for one that was already gone, or never existed.

        Idempotent. Raises ``missing_secret`` or ``wrong_secret`` for a share that exists.
        """
        share = self._store.share(share_id)
        if share is None:
            return None
        if share.state is State.ACTIVE:
            check_secret(share, secret)
        self.delete(share, "unshared")
        return share if share.state is State.ACTIVE else None

    def remove(self, share_id: ShareId, reason: str) -> None:
        """Remove a share for the operator; raises ``share_not_found`` when there is none."""
        share = self._store.share(share_id)
        if share is None:
            if self._store.tombstone(share_id) is None:
                raise share_not_found()
            return
        self.delete(share, reason)

    def remove_workspace(self, workspace_id: WorkspaceId) -> None:
        """Remove all shares of a deleted workspace. Can be repeated; continues after an interruption."""
        after: ShareCursor | None = None
        while True:
            page, after = self._store.shares_in(workspace_id, None, PAGE, after)
            for share_id in page:
                share = self._store.share(share_id)
                if share is not None and share.state is State.ACTIVE:
                    self.delete(share, "workspace purged")
            if after is None:
                return

    def look_up(self, share_id: ShareId) -> Share | Tombstone:
        """Return a share or its tombstone; raises ``share_not_found``."""
        share = self._store.share(share_id)
        if share is not None and share.state is State.ACTIVE:
            return share
        tombstone = self._store.tombstone(share_id)
        if tombstone is None:
            raise share_not_found()
        return tombstone

    def sweep(self) -> int:
        """Remove expired shares and resume lost purges. Return their number.

        Raises :class:`ItemsFailed` if some failed. The others are removed.
        """
        from opencode_cloud.kit.housekeeping import ItemRuns  # only the function of the schedule sweeps

        now = now_seconds()
        days = [day_of(now - back * DAY_SECONDS) for back in range(_DAYS_BACK)]
        runs = ItemRuns()
        for share_id in self._store.expired(days, now):
            runs.run(share_id, partial(self._expire, share_id))
        log.count("ExpiredCount", runs.total)
        runs.check()
        return runs.total

    def _expire(self, share_id: ShareId) -> int:
        share = self._store.share(share_id)
        if share is None:
            return 0
        self.delete(share, "expired")
        return 1

    def purge(self, share_id: ShareId, round_: int) -> None:
        """Delete everything of a share. From round 2 on, verify that nothing was left and record it.

        Rows and objects of a writer that had begun before the removal are deleted too, counted, and verified once more.
        """
        # Read the viewers before the purge deletes their rows.
        viewers = self._store.viewers(share_id)
        self._viewer_sockets.disconnect_deleted(share_id, viewers)
        objects = self._objects.purge(share_id)
        rows = self._store.purge(share_id)
        tombstone = self._store.tombstone(share_id)
        if tombstone is None:
            logger.error("purge without a tombstone", extra={"share": share_id})
            return
        tombstone = msgspec.structs.replace(
            tombstone,
            removed_rows=tombstone.removed_rows + rows,
            removed_objects=tombstone.removed_objects + objects,
            closed_sockets=tombstone.closed_sockets + len(viewers),
        )
        # Only a later pass that finds nothing proves that no writer has added content (docs/decisions/006).
        if round_ == 1 or rows or objects:
            if round_ > 1:
                log.count("PurgeLeftOverCount", rows + objects)
            self._store.put_tombstone(tombstone)
            self._tasks.purge(share_id, round_ + 1, VERIFY_AFTER_SECONDS)
            return
        self._store.put_tombstone(msgspec.structs.replace(tombstone, purged_at=now_ms()))
        logger.info(
            "share purged and verified empty",
            extra={"share": share_id, "rows": tombstone.removed_rows, "objects": tombstone.removed_objects},
        )

    def delete(self, share: Share, reason: str) -> None:
        """Make the share gone for everyone, then have it purged. Both steps can be repeated."""
        # Mark before queueing: the schedule finds a marked share whose purge message was lost (docs/decisions/006).
        self._store.mark_deleted(share, Tombstone(share_id=share.id, reason=reason, deleted_at=now_ms()))
        self._tasks.purge(share.id)
        viewers = self._store.viewers(share.id)
        # The purge closes the other sockets, so that this request need not wait for them.
        # A hub holds many sockets, so it is told first.
        viewers.sort(key=lambda viewer: viewer.protocol is not Protocol.HUB)
        self._viewer_sockets.disconnect_deleted(share.id, viewers[:INLINE_VIEWERS])
