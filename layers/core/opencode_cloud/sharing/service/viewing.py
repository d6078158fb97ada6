"""Viewers' operations over a socket: connect, resume, replay, ping, leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.errors import Gone, NotFound, ServiceError, Unauthorized
from opencode_cloud.kit.parallel import parallel_map, pool
from opencode_cloud.sharing.models import (
    LAST_SEQ,
    Item,
    Protocol,
    Share,
    Viewer,
    cursor_ahead,
    too_many_follows,
)
from opencode_cloud.sharing.protocol.fold import Fold
from opencode_cloud.sharing.protocol.frames import (
    legacy_frame,
    legacy_order,
    live_frames,
    pong_frame,
    ready_frame,
    snapshot_frame,
)
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.viewer_limit import ViewerLimit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opencode_cloud.sharing.service.access import ShareAccess
    from opencode_cloud.sharing.service.fan_out import FanOut
    from opencode_cloud.sharing.service.snapshots import Snapshots
    from opencode_cloud.sharing.store import ConnectionStore, LogPage, ShareStore, Tasks

MOST_VIEWERS = 1000
MOST_SHARES = 100
"""Shares that one socket follows. It may name shares that do not exist, so it needs a bound."""
REPLAY_BYTES = 512 * 1024  # a viewer fetches a larger gap as one object instead of receiving frames


class Viewing:
    """The operations of viewers."""

    def __init__(
        self,
        store: ShareStore,
        connections: ConnectionStore,
        fan_out: FanOut,
        tasks: Tasks,
        share_access: ShareAccess,
        *,
        most_viewers: int = MOST_VIEWERS,
    ) -> None:
        """``most_viewers`` is the number of sockets that may follow one share."""
        self._store = store
        self._connections = connections
        self._fan_out = fan_out
        self._tasks = tasks
        self._share_access = share_access
        self._limit = ViewerLimit(store, most_viewers)

    def poll(self, connection_id: ConnectionId, share_id: ShareId) -> None:
        """Admit a legacy socket.

        It never sends a message, so its replay begins without one when the socket is open. Raises ``share_not_found``
        or ``share_gone``, or 401, since viewers of this protocol have no ticket.
        """
        share = self._share_access.admit(share_id, self._store.share(share_id), Visitor()).share
        self._limit.check(share, self._limit.look(share_id), has_row=False)
        self._tasks.replay(share_id, Viewer(connection_id, Protocol.POLL))

    def leave(self, connection_id: ConnectionId) -> None:
        """Forget a closed socket."""
        parallel_map(
            lambda share_id: self._store.remove_viewer(share_id, connection_id),
            self._connections.forget(connection_id),
        )

    def resume(self, connection_id: ConnectionId, share_id: ShareId, after: int, ticket: str = "") -> None:
        """Send all items after ``after``, and have every later commit pushed.

        The viewer is stored before the log is read, so each commit is either read here or pushed by its writer. The
        writer verifies the ticket again. Raises as :meth:`ShareAccess.admit` does, ``cursor_ahead`` (409), and
        ``too_many_viewers`` or ``too_many_follows`` (429).
        """
        if after > LAST_SEQ:
            raise cursor_ahead()
        log.count("ResumeCount")
        early = pool().submit(self._store.share, share_id) if after == 0 else None
        is_new = join(self._store, self._connections, share_id, Viewer(connection_id, Protocol.LIVE, ticket))
        looked = pool().submit(self._limit.look, share_id) if is_new else None
        known = early.result() if early else None
        page = None if known and _has_large_snapshot(known) else self._store.page(share_id, after)
        # The early look may precede the viewer's row, and the share may have been removed in between.
        found = page.share if page else self._store.share(share_id)
        try:
            share = self._share_access.admit(share_id, found, Visitor(ticket=ticket)).share
            if looked:
                self._limit.check(share, looked.result(), has_row=True)
            # A log that was restored from a backup may end before what a viewer has seen.
            if page and page.complete and after > max(share.hint.seq, page.records[-1].last if page.records else 0):
                raise cursor_ahead()
        except ServiceError:
            self._store.remove_viewer(share_id, connection_id)
            raise
        self._fan_out.send(share_id, [(connection_id, _resumption(share, after, page))])

    def ping(self, share_id: ShareId, ticket: str = "") -> bytes:
        """Return the frame with the log's end, from which a viewer detects a lost push."""
        share, end = self._store.end(share_id)
        self._share_access.admit(share_id, share, Visitor(ticket=ticket))
        return pong_frame(end)


class Replay:
    """Sends the state to legacy sockets, which cannot ask for it."""

    def __init__(
        self,
        store: ShareStore,
        connections: ConnectionStore,
        fan_out: FanOut,
        snapshots: Snapshots,
        share_access: ShareAccess,
    ) -> None:
        self._store = store
        self._connections = connections
        self._fan_out = fan_out
        self._snapshots = snapshots
        self._share_access = share_access

    def run(self, share_id: ShareId, connection_id: ConnectionId) -> None:
        """Send the groups of :meth:`frames`. The frames of one group are posted in parallel."""
        # A post to a connection whose $connect has not returned answers 410, like a closed one (docs/decisions/004).
        if not self._fan_out.wait_until_open(connection_id):
            return
        for group in self.frames(share_id, connection_id):
            self._fan_out.send(share_id, [(connection_id, [frame]) for frame in group])

    def frames(self, share_id: ShareId, connection_id: ConnectionId) -> Iterator[Iterator[bytes]]:
        """Have a legacy socket follow a share, and yield the whole state: session, messages, parts, a group each.

        Items committed during the replay come again at the end, since an older value from the replay may have
        overtaken their push. The socket is closed if the share was removed before the socket was open, or the socket
        has no access to it.
        """
        viewer = Viewer(connection_id, Protocol.POLL)
        # Register before reading the log: each commit is then read here or pushed by its writer.
        join(self._store, self._connections, share_id, viewer)
        try:
            share = self._share_access.admit(share_id, self._store.share(share_id), Visitor()).share
        except (Gone, NotFound, Unauthorized):
            self._store.remove_viewer(share_id, connection_id)
            self._fan_out.disconnect_deleted(share_id, [viewer])
            return
        fold, seq = self._snapshots.fold(share)
        yield from _legacy_groups(share, fold.items())
        missed = Fold()
        missed.add_records(self._store.records(share.id, seq))
        yield from _legacy_groups(share, missed.items())


def join(store: ShareStore, connections: ConnectionStore, share_id: ShareId, viewer: Viewer) -> bool:
    """Have every later commit pushed to ``viewer`` until it leaves; False if that was so before.

    Raises ``too_many_follows`` (429).
    """
    followed = pool().submit(connections.follow, viewer.connection_id, share_id, MOST_SHARES)
    is_new = store.add_viewer(share_id, viewer)
    if not followed.result():
        store.remove_viewer(share_id, viewer.connection_id)
        raise too_many_follows(MOST_SHARES)
    return is_new


def _legacy_groups(share: Share, items: Sequence[Item]) -> Iterator[Iterator[bytes]]:
    for kind in ("session", "message", "part"):
        chosen = sorted((item for item in items if item.type == kind), key=legacy_order)
        frames = (legacy_frame(share.id, item, share.pseudonym) for item in chosen)
        yield (frame for frame in frames if frame is not None)


def _has_large_snapshot(share: Share) -> bool:
    """Tell whether a new viewer needs the share's snapshot, and no record of the log before it."""
    return share.snapshot is not None and share.snapshot.bytes > REPLAY_BYTES


def _resumption(share: Share, after: int, page: LogPage | None) -> list[bytes]:
    """Return the frames that bring a viewer from ``after`` to the end of ``page``; without one, to the snapshot."""
    records = page.records if page else ()
    seq = records[-1].last if records else after
    fold = Fold()
    fold.add_records(records)
    items = fold.items(after)
    if page is None or not page.complete or sum(len(item.data) for item in items) > REPLAY_BYTES:
        return [snapshot_frame(share.id, max(seq, share.hint.seq))]
    return [*live_frames(share.id, after, items, max(seq, after)), ready_frame(max(seq, after))]
