"""Pushing a commit to the sockets that follow its share.

Push is best effort (design D4): a viewer that misses a frame sees the gap in the sequence numbers and resumes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opencode_cloud.kit import log
from opencode_cloud.kit.parallel import each
from opencode_cloud.sharing.frames import gone_frame, legacy_frame, live_frames
from opencode_cloud.sharing.models import Protocol, Record, Share, Viewer

if TYPE_CHECKING:
    from opencode_cloud.kit.sockets import Outcome, Sockets
    from opencode_cloud.sharing.store import ShareStore, Tasks

CONNECT_SECONDS = 5.0  # how long a $connect may take to be answered after it has asked for a replay
CONNECT_POLL_SECONDS = 0.02
INLINE_VIEWERS = 64  # beyond, the posts of one invocation take longer than handing them to several others


class FanOut:
    """Sends frames to viewers and forgets those that have left."""

    def __init__(self, store: ShareStore, sockets: Sockets, tasks: Tasks) -> None:
        self._store = store
        self._sockets = sockets
        self._tasks = tasks

    def commit(self, share: Share, record: Record, viewers: Sequence[Viewer], stale: frozenset[str]) -> None:
        """Push a new record to all its viewers; ``stale`` are keys for which a later arrival was committed before.

        ``viewers`` were read before the commit. Who joined since has read the log either before the record, and is
        found by the second look at the viewers, or after it.
        """
        started = time.perf_counter()
        later = [lambda: self._latecomers(share, record, viewers, stale)]
        if len(viewers) > INLINE_VIEWERS:
            pushes = [lambda: self._tasks.push(share.id, record.first, viewers)]
        else:
            pushes = self._pushes(share, record, viewers, stale)
        each(_call, [*pushes, *later])
        if viewers:
            log.duration("FanOutLatency", (time.perf_counter() - started) * 1000)

    def push(
        self, share: Share, record: Record, viewers: Sequence[Viewer], stale: frozenset[str] = frozenset()
    ) -> None:
        """Push one record to ``viewers``, in parallel."""
        each(_call, self._pushes(share, record, viewers, stale))

    def farewell(self, share_id: str, viewers: Sequence[Viewer]) -> None:
        """Tell viewers that the share is gone, and end their sockets."""
        each(lambda viewer: self._dismiss(share_id, viewer), viewers)

    def send(self, share_id: str, connection: str, frames: Sequence[bytes]) -> Outcome:
        """Send frames to one viewer; a viewer that has left is forgotten."""
        outcome = self._sockets.post(connection, frames)
        if outcome == "gone":
            self._store.remove_viewer(share_id, connection)
        elif outcome == "failed":
            log.count("FailedPostCount")
        return outcome

    def wait_until_open(self, connection: str) -> bool:
        """Wait until a socket that is connecting can be posted to; False when it does not come up."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._sockets.is_open(connection):
            if time.monotonic() > deadline:
                return False
            time.sleep(CONNECT_POLL_SECONDS)
        return True

    def _pushes(
        self, share: Share, record: Record, viewers: Sequence[Viewer], stale: frozenset[str]
    ) -> list[Callable[[], object]]:
        spoken = {viewer.protocol for viewer in viewers}
        frames = {protocol: _frames(protocol, share, record, stale) for protocol in spoken}
        return [
            lambda viewer=viewer: self.send(share.id, viewer.connection, frames[viewer.protocol]) for viewer in viewers
        ]

    def _latecomers(self, share: Share, record: Record, known: Sequence[Viewer], stale: frozenset[str]) -> None:
        connections = {viewer.connection for viewer in known}
        joined = [viewer for viewer in self._store.viewers(share.id) if viewer.connection not in connections]
        for push in self._pushes(share, record, joined, stale):
            push()

    def _dismiss(self, share_id: str, viewer: Viewer) -> None:
        if viewer.protocol is Protocol.LIVE:
            self._sockets.post(viewer.connection, [gone_frame(share_id)])
        self._sockets.close(viewer.connection)


def _frames(protocol: Protocol, share: Share, record: Record, stale: frozenset[str]) -> list[bytes]:
    if protocol is Protocol.LIVE:
        return list(live_frames(share.id, record.first - 1, record.items, record.last))
    current = [item for item in record.items if item.key not in stale]
    frames = [legacy_frame(share.id, item, share.pseudonym) for item in current]
    return [frame for frame in frames if frame is not None]


def _call(push: Callable[[], object]) -> object:
    return push()
