"""Pushing a commit to the sockets that follow its share.

Push is best effort (docs/decisions/004): a viewer that misses a frame sees the gap in the sequence numbers and resumes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.parallel import each, pool
from opencode_cloud.sharing.models import Mode, Protocol, Record, Share, Viewer
from opencode_cloud.sharing.protocol.frames import gone_frame, legacy_frame, live_frames

if TYPE_CHECKING:
    from opencode_cloud.kit.sockets import Sockets
    from opencode_cloud.sharing.service.access import Gate
    from opencode_cloud.sharing.store import ShareStore, Tasks

CONNECT_SECONDS = 5.0  # how long a $connect may take to be answered after it has asked for a replay
CONNECT_POLL_SECONDS = 0.02
INLINE_VIEWERS = 100  # beyond, the posts of one invocation take longer than handing them to several others


class Farewell:
    """Ends the sockets of viewers, from our side."""

    def __init__(self, store: ShareStore, sockets: Sockets) -> None:
        self._store = store
        self._sockets = sockets

    def farewell(self, share_id: ShareId, viewers: Sequence[Viewer]) -> None:
        """Tell viewers that the share is gone, and end their sockets."""
        live = [viewer.connection_id for viewer in viewers if viewer.protocol is Protocol.LIVE]
        self._sockets.post([(connection, [gone_frame(share_id)]) for connection in live])
        self._sockets.close([viewer.connection_id for viewer in viewers])

    def dismiss(self, share_id: ShareId, viewers: Sequence[Viewer]) -> None:
        """End the sockets of viewers of a share that is still there, and that they must ask for again.

        Without a word: a viewer reconnects, and the answer to its resume says whether it still may.
        """
        self._sockets.close([viewer.connection_id for viewer in viewers])
        each(lambda viewer: self._store.remove_viewer(share_id, viewer.connection_id), viewers)


class FanOut(Farewell):
    """Sends frames to viewers and forgets those that have left."""

    def __init__(self, store: ShareStore, sockets: Sockets, tasks: Tasks, gate: Gate) -> None:
        super().__init__(store, sockets)
        self._tasks = tasks
        self._gate = gate

    def commit(
        self, share: Share, record: Record, viewers: Sequence[Viewer], stale: frozenset[str], mode: Mode = Mode.LINK
    ) -> None:
        """Push a new record to all its viewers; ``stale`` are keys for which a later arrival was committed before.

        ``viewers`` were read before the commit. Who joined since has read the log either before the record, and is
        found by the second look at the viewers, or after it. ``mode`` is who may read the share now.
        """
        started = time.perf_counter()
        late = pool().submit(self._store.viewers, share.id)
        if len(viewers) > INLINE_VIEWERS:
            self._tasks.push(share.id, record.first, viewers)
        else:
            self.push(share, record, viewers, stale, mode)
        known = {viewer.connection_id for viewer in viewers}
        self.push(share, record, [viewer for viewer in late.result() if viewer.connection_id not in known], stale, mode)
        if viewers:
            log.duration("FanOutLatency", (time.perf_counter() - started) * 1000)

    def push(
        self,
        share: Share,
        record: Record,
        viewers: Sequence[Viewer],
        stale: frozenset[str] = frozenset(),
        mode: Mode | None = Mode.LINK,
    ) -> None:
        """Push one record to those of ``viewers`` who may still see it, in parallel; the sockets of others end."""
        allowed = self._gate.watching(share, viewers, mode)
        if len(allowed) < len(viewers):
            kept = {viewer.connection_id for viewer in allowed}
            self.dismiss(share.id, [viewer for viewer in viewers if viewer.connection_id not in kept])
        viewers = allowed
        spoken = {viewer.protocol for viewer in viewers}
        frames = {protocol: _frames(protocol, share, record, stale) for protocol in spoken}
        self.send(share.id, [(viewer.connection_id, frames[viewer.protocol]) for viewer in viewers])

    def send(self, share_id: ShareId, messages: Sequence[tuple[str, Sequence[bytes]]]) -> None:
        """Send frames to connections, to each in order; those that have left are forgotten."""
        outcomes = self._sockets.post(messages)
        left = {connection for (connection, _), outcome in zip(messages, outcomes, strict=True) if outcome == "gone"}
        each(lambda connection: self._store.remove_viewer(share_id, ConnectionId(connection)), left)
        if failed := outcomes.count("failed"):
            log.count("FailedPostCount", failed)

    def wait_until_open(self, connection_id: ConnectionId) -> bool:
        """Wait until a socket that is connecting can be posted to; False when it does not come up."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._sockets.is_open(connection_id):
            if time.monotonic() > deadline:
                return False
            time.sleep(CONNECT_POLL_SECONDS)
        return True


def _frames(protocol: Protocol, share: Share, record: Record, stale: frozenset[str]) -> list[bytes]:
    if protocol is Protocol.LIVE:
        return list(live_frames(share.id, record.first - 1, record.items, record.last))
    current = [item for item in record.items if item.key not in stale]
    frames = [legacy_frame(share.id, item, share.pseudonym) for item in current]
    return [frame for frame in frames if frame is not None]
