"""Delivery of posts to the sockets of this process. Frames are made once for each protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.event_loop import BackgroundTasks
from opencode_cloud.kit.websocket_server import GOING_AWAY, TRY_AGAIN_LATER, PreparedFrame
from opencode_cloud.sharing.models import Mode, Protocol, Record, Share, Viewer
from opencode_cloud.sharing.protocol.frames import comments_frame, gone_frame
from opencode_cloud.sharing.service.access import is_over
from opencode_cloud.sharing.service.fan_out import frames_of
from opencode_cloud.sharing.service.hubs import HubPost

if TYPE_CHECKING:
    from opencode_cloud.sharing.hub.followers import Followers
    from opencode_cloud.sharing.hub.store import HubShareStore
    from opencode_cloud.sharing.service.access import ShareAccess

LARGE_RECORD = 32 * 1024
"""Bytes of items. The frames of a larger record are made on a thread, so that other sockets need not wait for it."""
HELD_FRAMES = 1000
"""Frames that are held back for a socket while its resume reads the log. With more, it has to resume again."""
_Place = tuple[ConnectionId, ShareId]
_Frames = Mapping[Protocol, Sequence[PreparedFrame]]


class HubDelivery:
    """Passes records to the sockets that follow their share. Its private methods run on the event loop."""

    def __init__(
        self, address: str, followers: Followers, store: HubShareStore, share_access: ShareAccess, threads: Executor
    ) -> None:
        """``address`` is this hub's, as other processes reach it."""
        self.address = address
        self._followers = followers
        self._store = store
        self._share_access = share_access
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: dict[_Place, list[PreparedFrame]] = {}
        self._turns: WeakValueDictionary[ShareId, asyncio.Lock] = WeakValueDictionary()
        self._waiting = BackgroundTasks()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the event loop that the sockets belong to."""
        self._loop = loop

    def take(self, post: HubPost) -> None:
        """Pass a post on, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.deliver, post)

    def deliver(self, post: HubPost, share: Share | None = None) -> None:
        """Pass a post on, from the event loop. ``share`` is its share's row if the caller has read it just now."""
        if not self._followers.count(post.share_id):
            return
        if post.kind == "comments":
            self._tell_live(post.share_id, comments_frame(post.share_id))
        elif post.kind != "record":
            self._end(post.share_id, deleted=post.kind == "deleted")
        elif post.record is None or post.share_id in self._turns or _is_slow(post, post.record):
            turn = self._turns.setdefault(post.share_id, asyncio.Lock())
            self._waiting.start(self._deliver_in_turn(turn, post, share))
        else:
            viewers = self._followers.viewers(post.share_id)
            self._push(post.share_id, _frames_for(viewers, post, post.record), viewers)

    def hold(self, connection_id: ConnectionId, share_id: ShareId) -> None:
        """Hold back a share's frames for a socket until :meth:`release`, so that none overtakes its resume."""
        self._held.setdefault((connection_id, share_id), [])

    def release(self, connection_id: ConnectionId, share_id: ShareId) -> None:
        """Send what was held back."""
        frames = self._held.pop((connection_id, share_id), [])
        if frames and (socket := self._followers.socket(connection_id)) is not None:
            socket.send(frames)

    async def _deliver_in_turn(self, turn: asyncio.Lock, post: HubPost, share: Share | None) -> None:
        """Deliver a record after the earlier ones of its share, and close the sockets that have lost access (I9)."""
        async with turn:
            prepare = self._prepared, post, share
            frames, allowed, refused = await asyncio.get_running_loop().run_in_executor(self._threads, *prepare)
            self._push(post.share_id, frames, allowed)
            self._close(refused)

    def _prepared(self, post: HubPost, share: Share | None) -> tuple[_Frames, Sequence[Viewer], Sequence[Viewer]]:
        """Return the frames of a record, the sockets that may receive them, and the others. Blocks."""
        record, allowed, refused = self._watching(post, share)
        if record is None:
            return {}, allowed, refused
        frames = _frames_for(allowed, post, record)
        for viewer in allowed:
            if (socket := self._followers.socket(viewer.connection_id)) is not None:
                socket.serialize(frames[viewer.protocol])
        return frames, allowed, refused

    def _watching(self, post: HubPost, share: Share | None) -> tuple[Record | None, Sequence[Viewer], Sequence[Viewer]]:
        """Return the record, the sockets that may receive it, and the others. Blocks."""
        viewers = self._followers.viewers(post.share_id)
        if post.record is not None and post.mode is Mode.LINK:
            return post.record, viewers, ()
        share = share or self._store.share(post.share_id)
        if share is None or is_over(share):
            return None, (), viewers
        record = post.record or self._store.record_with(post.share_id, post.first)
        allowed = self._share_access.watching(share, viewers, self._share_access.audience(share))
        allowed_ids = {viewer.connection_id for viewer in allowed}
        return record, allowed, [viewer for viewer in viewers if viewer.connection_id not in allowed_ids]

    def _push(self, share_id: ShareId, frames: _Frames, viewers: Sequence[Viewer]) -> None:
        for viewer in viewers:
            held = self._held.get((viewer.connection_id, share_id)) if self._held else None
            if held is None:
                self._send(viewer, frames[viewer.protocol])
            elif len(held) < HELD_FRAMES:
                held += frames[viewer.protocol]
            else:
                self._each([viewer], TRY_AGAIN_LATER)

    def _send(self, viewer: Viewer, frames: Sequence[PreparedFrame]) -> None:
        socket = self._followers.socket(viewer.connection_id)
        if socket is not None and socket.is_open and not socket.send(frames):
            log.count("StalledSocketCount")

    def _end(self, share_id: ShareId, *, deleted: bool) -> None:
        # The next commit is judged by the present audience, also for sockets that connect again at once.
        self._store.note_change(share_id)
        viewers = self._followers.viewers(share_id)
        if deleted:
            self._tell_live(share_id, gone_frame(share_id))
        self._close(viewers)

    def _tell_live(self, share_id: ShareId, frame: bytes) -> None:
        """Send a frame for which the legacy protocol has none."""
        prepared = PreparedFrame(frame)
        for viewer in self._followers.viewers(share_id):
            if viewer.protocol is Protocol.LIVE:
                self._send(viewer, [prepared])

    def _close(self, viewers: Iterable[Viewer]) -> None:
        self._each(viewers, GOING_AWAY)

    def _each(self, viewers: Iterable[Viewer], code: int) -> None:
        for viewer in viewers:
            if (socket := self._followers.socket(viewer.connection_id)) is not None:
                socket.close(code)


def _is_slow(post: HubPost, record: Record) -> bool:
    """Tell whether viewers must be checked, or many bytes made into frames."""
    return post.mode is not Mode.LINK or sum(len(item.data) for item in record.items) > LARGE_RECORD


def _frames_for(viewers: Sequence[Viewer], post: HubPost, record: Record) -> _Frames:
    return {
        protocol: [
            PreparedFrame(frame) for frame in frames_of(protocol, post.share_id, post.pseudonym, record, post.stale)
        ]
        for protocol in {viewer.protocol for viewer in viewers}
    }
