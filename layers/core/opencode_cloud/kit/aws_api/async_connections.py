"""Kept HTTP/1.1 connections of an event loop to one host, for small requests whose answers come whole.

aiohttp takes twice the processor time for each of them, and a model call makes three. The framing is that of
``connections.py``, except that an answer has a length or chunks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from opencode_cloud.kit.aws_api.connections import Answer
from opencode_cloud.kit.tls import trusting

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_SECONDS = 50.0
"""Time after which an idle connection is not used again, in seconds."""
_LONGEST_HEAD = 64 * 1024
_END = b"\r\n\r\n"
_WITHOUT_BODY = (204, 304)


class BrokenExchange(ConnectionError):
    """An exchange failed; ``stale``: the peer ended the connection before the first byte of an answer."""

    def __init__(self, reason: str, *, stale: bool = False) -> None:
        super().__init__(reason)
        self.stale = stale


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None
        self._timeout: asyncio.Timeout | None = None
        self._seconds = 0.0
        self._used_at = 0.0

    @property
    def usable(self) -> bool:
        """True if the connection is open, and was not idle for long."""
        return self._transport is not None and self._loop.time() - self._used_at < KEPT_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of a new connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        waiting = self._answer
        if waiting is None or waiting.done():
            self.close()  # nothing was asked
            return
        self._received = self._received + data if self._received else data
        try:
            read = _read(self._received)
        except ValueError as error:
            self._end(BrokenExchange(str(error)))
            return
        if read is None:
            if self._timeout is not None:
                self._timeout.reschedule(self._loop.time() + self._seconds)
            return
        answer, reusable = read
        self._received, self._answer = b"", None
        if not reusable:
            self.close()
        waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that is on its way."""
        self._end(BrokenExchange(type(exc).__name__ if exc else "the peer closed", stale=not self._received))

    async def exchange(self, request: bytes, seconds: float) -> Answer:
        """Send a request and return its answer, of which a part comes within each so many ``seconds``.

        Raises :class:`BrokenExchange`, and TimeoutError. After an error, or if it is cancelled, the connection is
        closed.
        """
        transport = self._transport
        if transport is None:
            raise BrokenExchange("the peer closed", stale=True)
        answer = self._answer = self._loop.create_future()
        self._seconds = seconds
        try:
            async with asyncio.timeout(seconds) as self._timeout:
                transport.write(request)
                return await answer
        except BaseException:
            self.close()
            raise
        finally:
            self._timeout, self._used_at = None, self._loop.time()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _end(self, error: BrokenExchange) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class AsyncConnections:
    """Connections to the host of one endpoint, for the tasks of one event loop."""

    def __init__(self, url: str, *, connect_seconds: float, read_seconds: float, most: int) -> None:
        """Connect to the origin of ``url``. At ``most`` so many requests are sent at one time; others wait."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._room = asyncio.Semaphore(most)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def exchange(self, head: bytes, body: bytes) -> Answer:
        """Send a request, whose ``head`` ends with an empty line, and return its answer.

        A kept connection that its peer has closed is replaced by another. Raises OSError, which includes
        :class:`BrokenExchange` and TimeoutError.
        """
        request = head + body
        async with self._room:
            while True:
                kept = self._kept()
                connection = kept or await self._connect()
                self._open.add(connection)
                try:
                    answer = await connection.exchange(request, self._read_seconds)
                except BrokenExchange as error:
                    if kept is None or not error.stale:
                        raise
                else:
                    if connection.usable:
                        self._idle.append(connection)
                    return answer
                finally:
                    self._open.discard(connection)

    def close(self) -> None:
        """Close all connections. Requests that are on their way fail."""
        for connection in (*self._idle, *self._open):
            connection.close()
        self._idle.clear()

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        context = trusting() if self._secure else None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_seconds):
            # With a context, the server's name is the host.
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=context)
        return connection


def _read(received: bytes) -> tuple[Answer, bool] | None:
    """Return the answer, and whether its connection can be used again; None: it is not complete.

    Raises ValueError for bytes that are not an answer.
    """
    end = received.find(_END)
    if end < 0:
        if len(received) > _LONGEST_HEAD:
            raise ValueError("the head of the answer is too long")
        return None
    first, *lines = received[:end].decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        raise ValueError("the answer is not HTTP/1.1")
    status, start = int(first[9:12]), end + len(_END)
    if 100 <= status < 200:
        return _read(received[start:])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    framed = _body(received, start, status, headers)
    if framed is None:
        return None
    body, stop = framed
    reusable = first[7] == "1" and headers.get("connection", "").lower() != "close" and stop == len(received)
    return Answer(status, headers, body), reusable


def _body(received: bytes, start: int, status: int, headers: Mapping[str, str]) -> tuple[bytes, int] | None:
    """Return the body that begins at ``start``, and the place of its end; None: it is not complete."""
    if status in _WITHOUT_BODY:
        return b"", start
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(received, start)
    if "content-length" not in headers:
        raise ValueError("the answer has no length")
    stop = start + int(headers["content-length"])
    return (received[start:stop], stop) if len(received) >= stop else None


def _chunks(received: bytes, start: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while (line := received.find(b"\r\n", start)) >= 0:
        size = int(received[start:line].partition(b";")[0], 16)
        if not size:
            trailer = received.find(_END, line)
            return (b"".join(parts), trailer + len(_END)) if trailer >= 0 else None
        start = line + 2 + size + 2
        if len(received) < start:
            return None
        parts.append(received[line + 2 : start - 2])
    return None
