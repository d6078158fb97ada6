"""Let MiniStack hold thousands of idle WebSockets, close them at once, and limit a stalled one.

As shipped, each socket wakes twice a second to see whether it was closed, needs up to half a second to end, and queues
without limit what its reader does not take. Its module is given a stand-in for `asyncio` that differs in three names.
"""

import asyncio
import logging
from collections.abc import Awaitable
from importlib import import_module
from typing import Any

logger = logging.getLogger("local.sockets")

LARGEST_POST = 128 * 1024
"""Bytes that a function may post to a socket at once (API Gateway's quota)."""

LARGEST_OUTBOX = 1024
"""Messages (of at most 128 KB) waiting for a reader before its socket is ended, as API Gateway ends slow ones."""


class Outbox(asyncio.Queue[str | None]):
    """Messages for one socket; None wakes the sender so that it sees that the socket has ended."""

    ending: "Ending"

    async def put(self, item: str | None) -> None:
        """Queue a message, or end the socket when its reader has stalled."""
        if self.qsize() >= LARGEST_OUTBOX:
            logger.warning("a reader fell %d messages behind: its socket is ended", LARGEST_OUTBOX)
            self.ending.set()
            return
        self.put_nowait(item)


class Ending(asyncio.Event):
    """Set when a socket is to end; wakes the sender, which waits for the outbox alone."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__()
        self._outbox = outbox
        outbox.ending = self

    def set(self) -> None:
        """End the socket."""
        super().set()
        self._outbox.put_nowait(None)


class AsyncioForSockets:
    """`asyncio`, except for the names with which `handle_websocket` waits for messages and for the end."""

    def __init__(self) -> None:
        self._newest: Outbox | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def Queue(self) -> Outbox:  # noqa: N802 - stands in for asyncio.Queue
        """Create the outbox of a socket."""
        self._newest = Outbox()
        return self._newest

    def Event(self) -> Ending:  # noqa: N802 - stands in for asyncio.Event
        """Create the ending of the socket whose outbox was created in the line before."""
        if self._newest is None:
            raise RuntimeError("MiniStack makes a socket's outbox before its ending")
        outbox, self._newest = self._newest, None
        return Ending(outbox)

    async def wait_for(self, awaitable: Awaitable[Any], timeout: float) -> Any:  # noqa: ARG002, ASYNC109 - asyncio's
        """Wait without the time-out, because an ending wakes the sender."""
        return await awaitable


def install() -> None:
    """Give MiniStack's API Gateway the stand-in, and the quota of posts to a socket."""
    apigateway: Any = import_module("ministack.services.apigateway")
    apigateway.asyncio = AsyncioForSockets()
    manage = apigateway.handle_connections_api

    async def manage_within_quota(
        method: str, api_id: str, stage: str, connection: str, body: bytes, headers: Any
    ) -> tuple[int, dict[str, str], bytes]:
        if method == "POST" and len(body) > LARGEST_POST:
            answer = {"Content-Type": "application/json", "x-amzn-ErrorType": "PayloadTooLargeException"}
            return 413, answer, b'{"message":"Message too long"}'
        return await manage(method, api_id, stage, connection, body, headers)

    apigateway.handle_connections_api = manage_within_quota
