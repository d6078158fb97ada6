"""HTTP in our own process: uvicorn's protocol, which sends the head of an answer with the body that follows it.

uvicorn writes both by calls of their own, and uvloop passes each to the system at once. So each short answer took two
calls and two packets, and woke its reader twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "


class JoinedWrites:
    """A transport that keeps the head of an answer until the next write, or the end of the event loop's turn."""

    __slots__ = ("_head", "_loop", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        """The transport beneath."""
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send ``data``, unless it is a head."""
        if self._head:
            head, self._head = self._head, b""
            self.transport.writelines((head, data))
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self.transport.write(data)

    def flush(self) -> None:
        """Send the head that no body has followed."""
        if self._head:
            head, self._head = self._head, b""
            self.transport.write(head)

    def close(self) -> None:
        """Close the connection after everything that was written."""
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        """Return any other part of the transport."""
        return getattr(self.transport, name)


class HttpProtocol(HttpToolsProtocol):
    """One connection; see ``uvicorn --http``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take over a connection."""
        super().connection_made(cast("asyncio.Transport", JoinedWrites(transport, self.loop)))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the protocol of sockets."""
        self.transport = cast("JoinedWrites", self.transport).transport
        super().handle_websocket_upgrade()
