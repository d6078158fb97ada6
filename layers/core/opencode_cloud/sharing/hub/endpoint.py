"""The two WebSocket protocols of sharing in a hub (docs/protocol.md, "Live protocol" and "Legacy socket")."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import chain
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlsplit

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import http_events
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.edge import ORIGIN_HEADER, is_secret
from opencode_cloud.kit.errors import BadRequest, Forbidden, NotFound, ServiceError, Unavailable, unexpected
from opencode_cloud.kit.event_loop import BackgroundTasks
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.websocket_server import GOING_AWAY, UNEXPECTED, PreparedFrame, ServerSocket
from opencode_cloud.sharing.protocol.frames import ack_frame
from opencode_cloud.sharing.protocol.items import parse
from opencode_cloud.sharing.service.group_publishing import Publication
from opencode_cloud.sharing.sockets import LiveMessage, decode_message, failure_frame, share_named

if TYPE_CHECKING:
    from opencode_cloud.sharing.hub.delivery import HubDelivery
    from opencode_cloud.sharing.hub.followers import Followers
    from opencode_cloud.sharing.hub.group_commits import GroupCommits
    from opencode_cloud.sharing.service.owning import Owning
    from opencode_cloud.sharing.service.viewing import Replay, Viewing

LIVE_PATH, POLL_PATH = "/live", "/share_poll"
PING_AFTER_SECONDS, IDLE_SECONDS = 240, 600
"""A silent peer is asked for a sign of life, and is dropped without one. CloudFront drops it after 600 s, too."""
REPLAYED_BYTES = 256 * 1024
"""Bytes of a replay that are sent before its reader has taken most of them."""
REPLAYS = 64
"""Replays at one time. Each holds the state of its share, so further ones wait."""
Result = TypeVar("Result")


class HubEndpoint:
    """The application behind the sockets of a hub."""

    def __init__(
        self,
        followers: Followers,
        delivery: HubDelivery,
        viewing: Viewing,
        replay: Replay,
        commits: GroupCommits,
        owning: Owning,
        threads: Executor,
        *,
        origin_secret: Callable[[], bytes],
        most_sockets: int,
        stop: Callable[[], None],
    ) -> None:
        """``origin_secret`` must not block. ``most_sockets`` is the number of sockets that the process holds.

        ``stop`` is called before the process closes its sockets.
        """
        self._followers = followers
        self._delivery = delivery
        self._viewing = viewing
        self._replay = replay
        self._commits = commits
        self._owning = owning
        self._threads = threads
        self._origin_secret = origin_secret
        self._most_sockets = most_sockets
        self._stop = stop
        self._background = BackgroundTasks()
        self._replays = asyncio.Semaphore(REPLAYS)

    # ------------------------------------------------------------------------------------------- sockets

    def connect(self, socket: ServerSocket) -> None:
        """Admit a socket that the CDN passes on."""
        if not is_secret(socket.header(ORIGIN_HEADER).encode(), self._origin_secret()):
            self._refuse(socket, Forbidden("forbidden", "Ask at the public address."))
            return
        target = urlsplit(socket.path)
        if target.path not in (LIVE_PATH, POLL_PATH):
            self._refuse(socket, NotFound("route_not_found", "There is no WebSocket at this address."))
            return
        if len(self._followers) >= self._most_sockets:
            self._refuse(socket, Unavailable("overloaded", "Too many sockets are open here. Try again in a moment."))
            return
        socket.connection_id = self._followers.add(socket)
        if target.path == LIVE_PATH:
            socket.accept()
        else:
            share_id = parse_qs(target.query).get("id", [""])[0]
            self._background.start(self._poll(socket, ShareId(share_id)))

    async def receive(self, socket: ServerSocket, message: bytes) -> None:
        """Handle a message. A legacy viewer's is answered by an error, as the other messages of unknown form are."""
        connection_id, at = ConnectionId(socket.connection_id), now_ms()
        decoded = None
        try:
            decoded = decode_message(message)
            frame = await self._act(connection_id, decoded, at)
        except Exception as error:  # noqa: BLE001 - the last resort: logged, and answered as an error frame
            frame = failure_frame(error, decoded)
        if frame is not None:
            socket.send([PreparedFrame(frame)])

    def closed(self, socket: ServerSocket) -> None:
        """Forget a socket."""
        self._background.start(self._blocking(self._viewing.leave, ConnectionId(socket.connection_id)))

    def stop(self) -> None:
        """Prepare for the end of all sockets."""
        self._stop()

    async def watch(self) -> None:
        """Find peers that have gone without a word, until cancelled."""
        while True:
            await asyncio.sleep(PING_AFTER_SECONDS / 4)
            now = time.monotonic()
            for socket in self._followers.sockets():
                silent = now - socket.heard_at
                if silent > IDLE_SECONDS:
                    socket.close(GOING_AWAY)
                elif silent > PING_AFTER_SECONDS:
                    socket.ping()

    # ------------------------------------------------------------------------------------------ messages

    async def _act(self, connection_id: ConnectionId, message: LiveMessage, at: int) -> bytes | None:
        share_id = share_named(message)
        match message.action:
            case "resume":
                await self._resume(connection_id, share_id, message)
                return None
            case "ping":
                return await self._blocking(self._viewing.ping, share_id, message.ticket)
            case _:
                return await self._sync(share_id, message, at)

    async def _resume(self, connection_id: ConnectionId, share_id: ShareId, message: LiveMessage) -> None:
        self._delivery.hold(connection_id, share_id)
        try:
            after = max(message.after or 0, 0)
            await self._blocking(self._viewing.resume, connection_id, share_id, after, message.ticket)
        finally:
            self._delivery.release(connection_id, share_id)

    async def _sync(self, share_id: ShareId, message: LiveMessage, at: int) -> bytes:
        try:
            done = await self._commits.publish(share_id, Publication(message.secret, parse(message.items), at))
        except Forbidden as error:
            await self._blocking(self._owning.record_refused, error, share_id)
            raise
        return ack_frame(message.id, done.seq)

    # ------------------------------------------------------------------------------------- legacy sockets

    async def _poll(self, socket: ServerSocket, share_id: ShareId) -> None:
        connection_id = ConnectionId(socket.connection_id)
        try:
            await self._blocking(self._admit_legacy, connection_id, share_id)
        except ServiceError as error:
            self._followers.drop(connection_id)
            self._refuse(socket, error)
            return
        except Exception:  # noqa: BLE001 - the last resort: logged, and answered
            logger.exception("socket refused")
            self._followers.drop(connection_id)
            self._refuse(socket, unexpected())
            return
        socket.accept()
        if not socket.is_open:
            self._followers.drop(connection_id)
            return
        try:
            await self._send_state(socket, share_id)
        except Exception:  # noqa: BLE001 - the last resort: logged, and the viewer connects again
            logger.exception("the replay ended early")
            socket.close(UNEXPECTED)

    async def _send_state(self, socket: ServerSocket, share_id: ShareId) -> None:
        """Replay a share as fast as the peer reads, and no thread waits for it."""
        groups = self._replay.frames(share_id, ConnectionId(socket.connection_id))
        frames = chain.from_iterable(groups)
        async with self._replays:
            while batch := await self._blocking(_take, frames, socket):
                if not socket.send(batch) or not await socket.drained():
                    return

    def _admit_legacy(self, connection_id: ConnectionId, share_id: ShareId) -> None:
        if not share_id:
            raise BadRequest("missing_id", "Name the share: /share_poll?id=<share id>.")
        self._viewing.poll(connection_id, share_id)

    def _refuse(self, socket: ServerSocket, error: ServiceError) -> None:
        body = http_events.error_body(error.code, error.message, secrets.token_hex(8))
        socket.refuse(int(error.status), body.decode())

    # ------------------------------------------------------------------------------------------ internals

    async def _blocking(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _take(frames: Iterator[bytes], socket: ServerSocket) -> Sequence[PreparedFrame]:
    """Return the next frames, ready to be sent to ``socket``; none at the end. Blocks."""
    taken: list[PreparedFrame] = []
    size = 0
    for frame in frames:
        taken.append(PreparedFrame(frame))
        size += len(frame)
        if size > REPLAYED_BYTES:
            break
    socket.serialize(taken)
    return taken
