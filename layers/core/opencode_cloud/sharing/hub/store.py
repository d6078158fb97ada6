"""The store of shares in a hub: its sockets are registered in memory, and one row stands for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import WRITES_AT_ONCE, batch_delete, batch_get
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.kit.rate_counters import Expense, Totals
from opencode_cloud.sharing.hub.followers import Followers, is_local
from opencode_cloud.sharing.hub.spending import Spending
from opencode_cloud.sharing.models import Ownership, Share, State, Tombstone, Viewer, ViewerCount
from opencode_cloud.sharing.store import ConnectionStore, ObjectStore, ShareStore
from opencode_cloud.sharing.store import rows as share_rows

if TYPE_CHECKING:
    from opencode_cloud.sharing.service.hubs import Hubs

REFRESH_SECONDS = 3600
"""How often a row is written again, well before its TTL ends."""
_LOCKS = 64
_CHECKED_AT_ONCE = 50  # two rows each; BatchGetItem takes 100


class HubConnections(ConnectionStore):
    """The shares that the sockets of this process follow: in memory, since they end with the process."""

    def __init__(self, followers: Followers) -> None:
        self._followers = followers

    def follow(self, connection_id: ConnectionId, share_id: ShareId, most: int) -> bool:
        """Record that a socket follows a share; False if it follows ``most`` others already."""
        return self._followers.follow(connection_id, share_id, most)

    def forget(self, connection_id: ConnectionId) -> list[ShareId]:
        """Forget a socket and return the shares that it followed."""
        return self._followers.forget(connection_id)


class HubShareStore(ShareStore):
    """Shares, whose viewers include this hub while at least one of its sockets follows them."""

    def __init__(self, table: str, objects: ObjectStore, followers: Followers, address: str, threads: Executor) -> None:
        """``address`` is this hub's, as other processes reach it."""
        super().__init__(table, objects)
        self._spending = Spending(self.spend, threads)
        self._followers = followers
        self._address = ConnectionId(address)
        self._hubs: Hubs | None = None
        self._forget: Callable[[ShareId], None] = lambda _share_id: None
        self._written: dict[ShareId, int] = {}
        self._resigning = False
        # The row of a share is written and deleted by one thread at a time, so that it matches the register.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def sign_with(self, hubs: Hubs) -> None:
        """Have the rows of this hub signed by ``hubs``."""
        self._hubs = hubs

    def tell_changes(self, forget: Callable[[ShareId], None]) -> None:
        """Have ``forget`` called when the row of a share has changed, or may have changed unnoticed."""
        self._forget = forget

    def note_change(self, share_id: ShareId) -> None:
        """Note that another process has changed the row of a share."""
        self._forget(share_id)

    # --------------------------------------------------------- changes that this process must know at once

    def mark_deleted(self, share: Share, tombstone: Tombstone) -> bool:
        """Mark a share as gone, as :meth:`ShareStore.mark_deleted` does."""
        return self._changed(share, super().mark_deleted(share, tombstone))

    def claim(self, share: Share, claimed: Share) -> bool:
        """Give a share an owner, as :meth:`ShareStore.claim` does."""
        return self._changed(share, super().claim(share, claimed))

    def renew_secret(self, share: Share, renewed: Share) -> bool:
        """Replace a secret, as :meth:`ShareStore.renew_secret` does."""
        return self._changed(share, super().renew_secret(share, renewed))

    def change(self, share: Share, ownership: Ownership, expires_at: int | None) -> bool:
        """Replace the ownership and the expiry, as :meth:`ShareStore.change` does."""
        return self._changed(share, super().change(share, ownership, expires_at))

    def set_title(self, share_id: ShareId, title: str) -> None:
        """Store the session's title, as :meth:`ShareStore.set_title` does."""
        super().set_title(share_id, title)
        self._forget(share_id)

    def _changed(self, share: Share, done: bool) -> bool:
        self._forget(share.id)
        return done

    # ------------------------------------------------------------------------------------ limits and viewers

    def spend_all(self, expenses: Sequence[Expense]) -> Sequence[Totals]:
        """Add to sums as :meth:`ShareStore.spend_all` does, but write them about once a second."""
        return self._spending.add_all(expenses)

    def add_viewer(self, share_id: ShareId, viewer: Viewer) -> bool:
        """Have every later record sent to ``viewer``; False if that was so before. On return this hub's row exists."""
        if not is_local(viewer.connection_id):
            return super().add_viewer(share_id, viewer)
        with self._lock(share_id):
            is_new = not self._followers.has(share_id, viewer.connection_id)
            if now_seconds() - self._written.get(share_id, 0) > REFRESH_SECONDS:
                self._write(share_id)
                # Without its row, this hub was not told of changes.
                self._forget(share_id)
            if not self._followers.join(share_id, viewer):
                self._leave(share_id, viewer.connection_id)
            return is_new

    def remove_viewer(self, share_id: ShareId, connection_id: ConnectionId) -> None:
        """Stop that. The row goes with the last socket."""
        if not is_local(connection_id):
            super().remove_viewer(share_id, connection_id)
            return
        with self._lock(share_id):
            self._leave(share_id, connection_id)

    def count_viewers(self, share_id: ShareId) -> ViewerCount:
        """Return the number of sockets of this process that follow a share."""
        viewers = self._followers.count(share_id)
        return ViewerCount(viewers=viewers, rows=viewers, at=now_seconds())

    def count_few_viewers(self, share_id: ShareId, most_rows: int) -> ViewerCount | None:
        """Do as :meth:`count_viewers`, which reads no rows."""
        del most_rows
        return self.count_viewers(share_id)

    def record_viewer_count(self, share_id: ShareId, count: ViewerCount) -> None:
        """Do nothing: each hub counts its own sockets."""

    def renew(self, share_ids: Sequence[ShareId]) -> list[ShareId]:
        """Write the missing and the old rows of this hub again. Return those of ``share_ids`` that are gone.

        Another process deletes the row of a hub that it could not reach, and a purge deletes all rows.
        """
        gone: list[ShareId] = []
        for start in range(0, len(share_ids), _CHECKED_AT_ONCE):
            gone += self._renew(share_ids[start : start + _CHECKED_AT_ONCE])
        return gone

    def keep_rows(self) -> None:
        """Leave the rows of sockets that end from now on to :meth:`resign`, which deletes them in batches."""
        self._resigning = True

    def resign(self) -> None:
        """Delete all rows of this hub, because its process stops and its sockets are closed.

        A row that is left costs the next writer of its share one attempt to reach this hub.
        """
        written = list(self._written)
        parallel_map(
            self._withdraw,
            [written[start : start + WRITES_AT_ONCE] for start in range(0, len(written), WRITES_AT_ONCE)],
        )

    def _withdraw(self, share_ids: Sequence[ShareId]) -> None:
        row_key = share_rows.viewer_key(self._address)
        try:
            batch_delete(self._dynamodb, self._table, [share_rows.key(share_id, row_key) for share_id in share_ids])
        except Exception:  # noqa: BLE001 - the process ends anyway: logged, and counted
            logger.exception("rows of this hub are left")
            log.count("LeftHubRowCount", len(share_ids))

    def _renew(self, share_ids: Sequence[ShareId]) -> list[ShareId]:
        row_key = share_rows.viewer_key(self._address)
        keys = [share_rows.key(share_id, sort) for share_id in share_ids for sort in (share_rows.META, row_key)]
        read: list[Any] = batch_get(self._dynamodb, {self._table: keys})[self._table]
        active = {
            row["pk"]["S"]
            for row in read
            if row["sk"]["S"] == share_rows.META and row["state"]["S"] == State.ACTIVE.value
        }
        present = {row["pk"]["S"] for row in read if row["sk"]["S"] == row_key}
        for share_id in share_ids:
            old = now_seconds() - self._written.get(share_id, 0) > REFRESH_SECONDS
            if share_id in active and (old or share_id not in present):
                with self._lock(share_id):
                    if self._followers.count(share_id):
                        self._write(share_id)
        return [share_id for share_id in share_ids if share_id not in active]

    def _leave(self, share_id: ShareId, connection_id: ConnectionId) -> None:
        was_last = self._followers.leave(share_id, connection_id)
        if was_last and share_id in self._written and not self._resigning:
            self._delete(share_id)

    def _write(self, share_id: ShareId) -> None:
        if self._hubs is None:
            raise RuntimeError("the rows of a hub are signed")
        super().add_viewer(share_id, self._hubs.viewer(share_id, self._address))
        self._written[share_id] = now_seconds()

    def _delete(self, share_id: ShareId) -> None:
        super().remove_viewer(share_id, self._address)
        self._written.pop(share_id, None)

    def _lock(self, share_id: ShareId) -> threading.Lock:
        return self._locks[hash(share_id) % _LOCKS]
