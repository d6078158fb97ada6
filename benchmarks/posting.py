"""An HTTP/1.1 client made to be cheap, so that with sixteen publishers it is still the server that is measured."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

ANSWER_SECONDS = 120.0
IDLE_SECONDS = 10.0
"""A connection that was idle for longer is replaced, because the server may be closing it."""
NO_HEADERS: Mapping[str, str] = {}
_END_OF_HEAD = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Answer(NamedTuple):
    """Status and body of an answer."""

    status: int
    body: bytes


class Poster:
    """Posts to one server, on as many kept connections as there are requests in flight."""

    def __init__(self, url: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """``headers`` go with each request."""
        parts = urlsplit(url)
        self._host = parts.netloc
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes) -> Answer:
        """Post a JSON document; return the answer. Raises ConnectionError and TimeoutError."""
        connection = self._take() or await self._connect()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"{self._headers}Content-Length: {len(body)}\r\n\r\n"
        )
        answer = await connection.ask(head.encode() + body)
        if not connection.closed:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """End the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and time.monotonic() - connection.used < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, *self._address)
        return connection


class _Connection(asyncio.Protocol):
    """One connection with at most one request in flight."""

    def __init__(self) -> None:
        self.closed = False
        self.used = time.monotonic()
        """When the last request was made (seconds, monotonic)."""
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the connection ended before the answer: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done() or (answer := read_answer(self._received)) is None:
            return
        if _LAST.search(self._received[: self._received.find(_END_OF_HEAD)]):
            self.close()
        self._received.clear()
        self._answer.set_result(answer)

    async def ask(self, request: bytes) -> Answer:
        """Send one request; return its answer."""
        if self._transport is None:
            raise ConnectionError("the connection is not open")
        self.used = time.monotonic()
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        late = loop.call_later(ANSWER_SECONDS, self._give_up)
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            late.cancel()

    def close(self) -> None:
        """End the connection."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def _give_up(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError(f"no answer within {ANSWER_SECONDS:g} s"))
        self.close()


def read_answer(received: bytearray) -> Answer | None:
    """Return the answer at the beginning of ``received``, or None while it is incomplete."""
    end = received.find(_END_OF_HEAD)
    if end < 0 or (status := _STATUS.match(received)) is None:
        return None
    head, start = bytes(received[:end]), end + len(_END_OF_HEAD)
    if length := _LENGTH.search(head):
        size = int(length[1])
        return Answer(int(status[1]), bytes(received[start : start + size])) if len(received) - start >= size else None
    body = _chunks(received, start) if _CHUNKED.search(head) else b""
    return None if body is None else Answer(int(status[1]), body)


def _chunks(received: bytearray, start: int) -> bytes | None:
    """Return the body that is sent in chunks, or None while its last chunk is missing."""
    body = bytearray()
    while (end := received.find(b"\r\n", start)) >= 0:
        size = int(received[start:end].partition(b";")[0], 16)
        start = end + 2
        if len(received) < start + size + 2:
            return None
        if size == 0:
            return bytes(body)
        body += received[start : start + size]
        start += size + 2
    return None
