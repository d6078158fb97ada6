"""Posting to sockets: those of this process directly, all others through API Gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from opencode_cloud.contracts.ids import ConnectionId
from opencode_cloud.kit.sockets import Outcome, Sockets
from opencode_cloud.kit.websocket_server import GOING_AWAY, PreparedFrame, ServerSocket
from opencode_cloud.sharing.hub.followers import Followers, is_local


class HubSockets(Sockets):
    """Sockets for any number of threads."""

    def __init__(self, endpoint: str, followers: Followers) -> None:
        """``endpoint`` is API Gateway's, for viewers whose sockets it holds."""
        super().__init__(endpoint)
        self._followers = followers
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the event loop that the sockets of this process belong to."""
        self._loop = loop

    def post(self, messages: Iterable[tuple[str, Sequence[bytes]]]) -> list[Outcome]:
        """Send each connection its frames in order; return the outcomes in order, as :meth:`Sockets.post` does."""
        every = list(messages)
        outcomes: list[Outcome] = ["gone"] * len(every)
        batch: list[tuple[ServerSocket, Sequence[PreparedFrame]]] = []
        prepared: dict[int, Sequence[PreparedFrame]] = {}
        remote: list[int] = []
        for index, (connection, frames) in enumerate(every):
            if not is_local(ConnectionId(connection)):
                remote.append(index)
            elif (socket := self._followers.socket(ConnectionId(connection))) is not None and socket.is_open:
                # Frames for many sockets are one list, so they are serialized once, and not on the event loop.
                if id(frames) not in prepared:
                    prepared[id(frames)] = [PreparedFrame(frame) for frame in frames]
                socket.serialize(prepared[id(frames)])
                batch.append((socket, prepared[id(frames)]))
                outcomes[index] = "sent"
        if batch and self._loop is not None:
            self._loop.call_soon_threadsafe(_send_all, batch)
        if remote:
            answers = super().post([every[index] for index in remote])
            for index, outcome in zip(remote, answers, strict=True):
                outcomes[index] = outcome
        return outcomes

    def close(self, connections: Iterable[str]) -> list[Outcome]:
        """Close connections."""
        every = [ConnectionId(connection) for connection in connections]
        local = [self._followers.socket(connection) for connection in every if is_local(connection)]
        if self._loop is not None:
            for socket in local:
                if socket is not None:
                    self._loop.call_soon_threadsafe(socket.close, GOING_AWAY)
        super().close([connection for connection in every if not is_local(connection)])
        return ["sent"] * len(every)

    def is_open(self, connection: str) -> bool:
        """Tell whether a connection accepts posts."""
        if is_local(ConnectionId(connection)):
            socket = self._followers.socket(ConnectionId(connection))
            return socket is not None and socket.is_open
        return super().is_open(connection)


def _send_all(batch: Sequence[tuple[ServerSocket, Sequence[PreparedFrame]]]) -> None:
    for socket, frames in batch:
        socket.send(frames)
