"""Push of a commit to the sockets that follow its share.

Push is best effort (docs/decisions/004): a viewer that misses a frame sees the gap in the sequence numbers and resumes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.parallel import parallel_map, pool
from opencode_cloud.sharing.models import Mode, Protocol, Record, Share, Viewer
from opencode_cloud.sharing.protocol.frames import comments_frame, gone_frame, legacy_frame, live_frames
from opencode_cloud.sharing.service.hubs import NO_HUBS, Hubs

if TYPE_CHECKING:
    from opencode_cloud.kit.sockets import Sockets
    from opencode_cloud.sharing.service.access import ShareAccess
    from opencode_cloud.sharing.store import Following, ShareStore, Tasks

CONNECT_SECONDS = 5.0  # how long a $connect may take to be answered after it has asked for a replay
CONNECT_POLL_SECONDS = 0.02
# With more viewers, posting in one invocation takes longer than handing the posts to several others.
INLINE_VIEWERS = 100


class ViewerSockets:
    """Closes the sockets of viewers from the server's side."""

    def __init__(self, store: ShareStore, sockets: Sockets, hubs: Hubs = NO_HUBS) -> None:
        self._store = store
        self._sockets = sockets
        self._hubs = hubs

    def disconnect_deleted(self, share_id: ShareId, viewers: Sequence[Viewer]) -> None:
        """Tell viewers that the share is gone, and close their sockets."""
        viewers = self._hubs.deleted(share_id, viewers)
        # The legacy protocol has no frame for this.
        live = [viewer.connection_id for viewer in viewers if viewer.protocol is Protocol.LIVE]
        self._sockets.post([(connection, [gone_frame(share_id)]) for connection in live])
        self._sockets.close([viewer.connection_id for viewer in viewers])

    def disconnect(self, share_id: ShareId, viewers: Sequence[Viewer]) -> None:
        """Close the sockets of viewers whose access to a share that still exists must be checked again.

        No frame announces it: the viewer reconnects, and the answer to its resume says whether it still has access.
        """
        viewers = self._hubs.closed(share_id, viewers)
        self._sockets.close([viewer.connection_id for viewer in viewers])
        parallel_map(lambda viewer: self._store.remove_viewer(share_id, viewer.connection_id), viewers)

    def tell_of_comments(self, share_id: ShareId, viewers: Sequence[Viewer]) -> None:
        """Tell viewers that the comments of a share have changed, so that they fetch them.

        The frame says nothing else, so it needs no check of their access: the fetch does that.
        """
        viewers = self._hubs.commented(share_id, viewers)
        live = [viewer.connection_id for viewer in viewers if viewer.protocol is Protocol.LIVE]
        self._sockets.post([(connection, [comments_frame(share_id)]) for connection in live])


class FanOut(ViewerSockets):
    """Sends frames to viewers and forgets closed connections."""

    def __init__(
        self,
        store: ShareStore,
        sockets: Sockets,
        tasks: Tasks,
        share_access: ShareAccess,
        hubs: Hubs = NO_HUBS,
    ) -> None:
        super().__init__(store, sockets, hubs)
        self._tasks = tasks
        self._share_access = share_access

    def commit(
        self, share: Share, record: Record, viewers: Sequence[Viewer], stale: frozenset[str], mode: Mode = Mode.LINK
    ) -> Following:
        """Push a new record to all its viewers. Return the share and the viewers, as read after the commit.

        ``stale`` holds the keys for which a later arrival was committed before. ``viewers`` were read before the
        commit. A viewer that joined since then has read the log either after the record, or before it; the second read
        of the viewers finds the latter. ``mode`` is the present audience of the share.
        """
        started = time.perf_counter()
        # Read the viewers again during the push, to find those who joined since the first read.
        late = pool().submit(self._store.following, share.id)
        if len(viewers) > INLINE_VIEWERS:
            self._tasks.push(share.id, record.first, viewers)
        else:
            self.push(share, record, viewers, stale, mode)
        known_ids = {viewer.connection_id for viewer in viewers}
        following = late.result()
        joined = [viewer for viewer in following.viewers if viewer.connection_id not in known_ids]
        if following.share is not None:
            # Judge them by the share that they joined, whose audience may have changed since the first read.
            changed = following.share.ownership != share.ownership
            present = self._share_access.audience(following.share) if joined and changed else mode
            self.push(following.share, record, joined, stale, present)
        if viewers:
            log.duration("FanOutLatency", (time.perf_counter() - started) * 1000)
        return following

    def push(
        self,
        share: Share,
        record: Record,
        viewers: Sequence[Viewer],
        stale: frozenset[str] = frozenset(),
        mode: Mode | None = Mode.LINK,
    ) -> None:
        """Push one record in parallel to those ``viewers`` who still have access. Close the sockets of the others."""
        viewers = self._hubs.push(share, record, viewers, stale, mode)
        allowed = self._share_access.watching(share, viewers, mode)
        if len(allowed) < len(viewers):
            allowed_ids = {viewer.connection_id for viewer in allowed}
            self.disconnect(share.id, [viewer for viewer in viewers if viewer.connection_id not in allowed_ids])
        viewers = allowed
        protocols = {viewer.protocol for viewer in viewers}
        frames = {protocol: frames_of(protocol, share.id, share.pseudonym, record, stale) for protocol in protocols}
        self.send(share.id, [(viewer.connection_id, frames[viewer.protocol]) for viewer in viewers])

    def send(self, share_id: ShareId, messages: Sequence[tuple[str, Sequence[bytes]]]) -> None:
        """Send frames to connections, in order for each connection. Forget closed connections."""
        outcomes = self._sockets.post(messages)
        closed = {connection for (connection, _), outcome in zip(messages, outcomes, strict=True) if outcome == "gone"}
        parallel_map(lambda connection: self._store.remove_viewer(share_id, ConnectionId(connection)), closed)
        if failed := outcomes.count("failed"):
            log.count("FailedPostCount", failed)

    def wait_until_open(self, connection_id: ConnectionId) -> bool:
        """Wait until a connecting socket accepts posts. Return False if it does not open."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._sockets.is_open(connection_id):
            if time.monotonic() > deadline:
                return False
            time.sleep(CONNECT_POLL_SECONDS)
        return True


def frames_of(
    protocol: Protocol, share_id: ShareId, pseudonym: str, record: Record, stale: frozenset[str]
) -> list[bytes]:
    """Return the frames of a new record for sockets of ``protocol``."""
    if protocol is Protocol.LIVE:
        return list(live_frames(share_id, record.first - 1, record.items, record.last))
    # Legacy frames carry no order, so a viewer would show the older value.
    current = [item for item in record.items if item.key not in stale]
    frames = [legacy_frame(share_id, item, pseudonym) for item in current]
    return [frame for frame in frames if frame is not None]
