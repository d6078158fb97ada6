"""A WebSocket viewer made to be cheap, so that with a thousand of them it is still the server that is measured."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

from benchmarks.posting import NO_HEADERS

OnFrame = Callable[[bytes, int], None]
"""Called with a message's payload and when its last byte was received (nanoseconds, monotonic)."""

HANDSHAKE_SECONDS = 60.0
_FINAL, _OPCODE = 0x80, 0x0F
_TEXT, _CLOSE, _PONG = 1, 8, 10


class HandshakeRefused(Exception):
    """The server did not upgrade; the message holds its answer."""


class Socket(asyncio.Protocol):
    """The client's end of one WebSocket (RFC 6455), without extensions."""

    def __init__(self, host: str, target: str, headers: Mapping[str, str], on_frame: OnFrame) -> None:
        self.received = 0
        """Bytes of payload received so far."""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = _handshake(host, target, headers)
        self._on_frame = on_frame
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail a handshake that is not done."""
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(HandshakeRefused(f"the connection ended: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Read received bytes: the answer to the handshake, then frames."""
        now = time.monotonic_ns()
        self._buffer += data
        if not self.opened.done() and not self._upgraded():
            return
        while (frame := self._next_frame()) is not None:
            self._take(*frame, now)

    def send(self, payload: bytes, opcode: int = _TEXT) -> None:
        """Send one frame; the mask is zero, which is a legal one."""
        if self._transport is None:
            raise ConnectionError("the socket is closed")
        size = len(payload)
        if size < 126:
            head = bytes((_FINAL | opcode, 0x80 | size))
        else:
            head = bytes((_FINAL | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
        self._transport.write(head + bytes(4) + payload)

    def pause(self) -> None:
        """Stop reading, so that the server's frames wait."""
        if self._transport is not None:
            self._transport.pause_reading()

    def unpause(self) -> None:
        """Read again. A connection that the server has ended stays ended."""
        if self._transport is not None:
            self._transport.resume_reading()

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended."""
        return self._transport is None

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self.send((1000).to_bytes(2, "big"), _CLOSE)
            self._transport.close()

    def _upgraded(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if self._buffer.split(b" ", 2)[1] != b"101":
            self.opened.set_exception(HandshakeRefused(bytes(self._buffer[:300]).decode(errors="replace")))
            return False
        del self._buffer[: end + 4]
        self.opened.set_result(None)
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        return first, payload

    def _take(self, first: int, payload: bytes, now: int) -> None:
        match first & _OPCODE:
            case 8:  # close
                if self._transport is not None:
                    self._transport.close()
            case 9:  # ping
                self.send(payload, _PONG)
            case 10:  # pong
                pass
            case _:
                self._fragments += payload
                if first & _FINAL:
                    message, self._fragments = bytes(self._fragments), bytearray()
                    self.received += len(message)
                    self._on_frame(message, now)


async def open_socket(url: str, on_frame: OnFrame, headers: Mapping[str, str] = NO_HEADERS) -> Socket:
    """Connect to ``url`` (``ws://host:port/path?query``) with ``headers``, and return the socket once it is up."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: Socket(parts.netloc, target, headers, on_frame), parts.hostname or "127.0.0.1", parts.port or 80
    )
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        await socket.opened
    return socket


def _handshake(host: str, target: str, headers: Mapping[str, str]) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
