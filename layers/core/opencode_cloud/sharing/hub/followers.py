"""The sockets of this process, and the shares that they follow."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.sharing.models import Viewer

if TYPE_CHECKING:
    from opencode_cloud.kit.websocket_server import ServerSocket

LOCAL = "hub/"
"""The beginning of the ids of this process's sockets. API Gateway's have no slash there."""


def is_local(connection_id: ConnectionId) -> bool:
    """Tell whether a socket is held by this process."""
    return connection_id.startswith(LOCAL)


class Followers:
    """A register for the event loop and any number of threads, in place of rows of viewers and connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._sockets: dict[ConnectionId, ServerSocket] = {}
        self._shares: dict[ConnectionId, list[ShareId]] = {}
        self._viewers: dict[ShareId, dict[ConnectionId, Viewer]] = {}

    def add(self, socket: ServerSocket) -> ConnectionId:
        """Register a socket and return its id."""
        connection_id = ConnectionId(f"{LOCAL}{next(self._numbers)}")
        with self._lock:
            self._sockets[connection_id] = socket
        return connection_id

    def socket(self, connection_id: ConnectionId) -> ServerSocket | None:
        """Return a socket that has not left."""
        return self._sockets.get(connection_id)

    def sockets(self) -> Sequence[ServerSocket]:
        """Return all sockets."""
        with self._lock:
            return list(self._sockets.values())

    def __len__(self) -> int:
        return len(self._sockets)

    def drop(self, connection_id: ConnectionId) -> None:
        """Forget a socket that never followed a share, or has left all of them."""
        with self._lock:
            self._sockets.pop(connection_id, None)

    # ------------------------------------------------------------------- in place of the table of connections

    def follow(self, connection_id: ConnectionId, share_id: ShareId, most: int) -> bool:
        """Record that a socket follows a share; False if it follows ``most`` others already."""
        with self._lock:
            if connection_id not in self._sockets:
                return True  # it has just left, and `add_viewer` finds that, too
            shares = self._shares.setdefault(connection_id, [])
            if share_id in shares:
                return True
            if len(shares) >= most:
                return False
            shares.append(share_id)
            return True

    def forget(self, connection_id: ConnectionId) -> list[ShareId]:
        """Forget a socket and return the shares that it followed."""
        with self._lock:
            self._sockets.pop(connection_id, None)
            return self._shares.pop(connection_id, [])

    # -------------------------------------------------------------------------- in place of the rows of viewers

    def join(self, share_id: ShareId, viewer: Viewer) -> bool:
        """Have every later record of a share sent to ``viewer``; False if its socket has left meanwhile."""
        with self._lock:
            if viewer.connection_id not in self._sockets:
                return False
            self._viewers.setdefault(share_id, {})[viewer.connection_id] = viewer
            return True

    def leave(self, share_id: ShareId, connection_id: ConnectionId) -> bool:
        """Stop that. Return True if no socket follows the share any more."""
        with self._lock:
            viewers = self._viewers.get(share_id)
            if viewers is None:
                return True
            viewers.pop(connection_id, None)
            if viewers:
                return False
            del self._viewers[share_id]
            return True

    def viewers(self, share_id: ShareId) -> Sequence[Viewer]:
        """Return the sockets of this process that follow a share."""
        with self._lock:
            return list(self._viewers.get(share_id, _NOBODY).values())

    def has(self, share_id: ShareId, connection_id: ConnectionId) -> bool:
        """Tell whether a socket follows a share."""
        return connection_id in self._viewers.get(share_id, _NOBODY)

    def count(self, share_id: ShareId) -> int:
        """Return the number of :meth:`viewers`."""
        return len(self._viewers.get(share_id, _NOBODY))

    def followed(self) -> Sequence[ShareId]:
        """Return the shares that sockets of this process follow."""
        with self._lock:
            return list(self._viewers)


_NOBODY: Mapping[ConnectionId, Viewer] = {}
