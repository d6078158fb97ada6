"""WebSockets: bytes pass untouched. Only the frames' headers are read, to enforce API Gateway's limits."""

import asyncio
import logging
from dataclasses import dataclass, field
from http.client import parse_headers
from io import BytesIO

from local.front_door.settings import LARGEST_BACKLOG, Quotas

logger = logging.getLogger("local.front_door")

CLOSE = 0x8
CONTINUATION = 0x0
FINAL = 0x80
MASKED = 0x80
GOING_AWAY = 1001
TOO_BIG = 1009


class TooBig(Exception):
    """A frame or message is larger than allowed; `passed` bytes of the chunk precede it and may go on."""

    def __init__(self, passed: int) -> None:
        super().__init__(passed)
        self.passed = passed


@dataclass(slots=True)
class FrameMeter:
    """Follows a stream of frames (RFC 6455, 5.2) by their headers and measures them."""

    frame_limit: int
    message_limit: int
    _left: int = 0
    """Bytes of the current frame's payload still to come."""
    _message: int = 0
    """Payload bytes of the current message so far."""
    _header: bytearray = field(default_factory=bytearray)
    """An incomplete header."""

    @property
    def between_frames(self) -> bool:
        """Return whether the relay can insert its own frame here."""
        return self._left == 0 and not self._header

    def feed(self, data: bytes) -> None:
        """Measure a chunk of the stream.

        Raises:
            TooBig: A frame or message in it exceeds its limit.
        """
        position = 0
        while position < len(data):
            if self._left:
                step = min(self._left, len(data) - position)
                self._left -= step
                position += step
                continue
            start = max(position - len(self._header), 0)
            position = self._read_header(data, position)
            if self._header and self._is_complete():
                self._begin_frame(start)

    def _read_header(self, data: bytes, position: int) -> int:
        while position < len(data) and not self._is_complete():
            self._header.append(data[position])
            position += 1
        return position

    def _is_complete(self) -> bool:
        header = self._header
        if len(header) < 2:
            return False
        extended = {126: 2, 127: 8}.get(header[1] & 0x7F, 0)
        mask = 4 if header[1] & MASKED else 0
        return len(header) == 2 + extended + mask

    def _begin_frame(self, start: int) -> None:
        header = bytes(self._header)
        self._header.clear()
        opcode, length = header[0] & 0x0F, header[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(header[2 : 4 if length == 126 else 10], "big")
        if opcode < CLOSE:  # control frames come between those of a message
            self._message = length + (self._message if opcode == CONTINUATION else 0)
            if length > self.frame_limit or self._message > self.message_limit:
                raise TooBig(start)
        self._left = length


def close_frame(code: int, *, masked: bool) -> bytes:
    """Return a close frame. Frames to a server are masked, here with zeros."""
    payload = code.to_bytes(2, "big")
    return bytes([FINAL | CLOSE, 2 | (MASKED if masked else 0)]) + (bytes(4) if masked else b"") + payload


def refusal_in(answer: bytes) -> tuple[int, dict[str, str]] | None:
    """Return status and `Cache-Control`, if it is sent, of an answer to a handshake; None if it is not HTTP."""
    if answer[:5] != b"HTTP/" or not answer[9:12].isdigit():
        return None
    said = parse_headers(BytesIO(answer.partition(b"\r\n")[2])).get_all("Cache-Control")
    return int(answer[9:12]), {"Cache-Control": ", ".join(said)} if said else {}


class Relay:
    """One WebSocket: the viewer's connection, the connection to the API, and the end of both."""

    def __init__(self, viewer: asyncio.Transport, quotas: Quotas) -> None:
        self._loop = asyncio.get_running_loop()
        self._quotas = quotas
        self.viewer = viewer
        self.origin: asyncio.Transport | None = None
        self.finished = asyncio.Event()
        self.refusal: tuple[int, dict[str, str]] | None = None
        """Status and `Cache-Control` of the origin's refusal of the handshake."""
        self._accepted = False
        self._from_viewer = FrameMeter(quotas.websocket_frame, quotas.websocket_message)
        # API Gateway splits posts of functions into frames itself, so only the message is limited.
        self._from_origin = FrameMeter(quotas.websocket_message, quotas.websocket_message)
        self._started = self._active = self._loop.time()
        first_look = min(quotas.websocket_idle_seconds, quotas.websocket_seconds)
        self._timer = self._loop.call_later(first_look, self._check_age)

    def viewer_sent(self, data: bytes) -> None:
        """Pass on bytes of the viewer."""
        self._active = self._loop.time()
        if self.origin is None or self.origin.is_closing():
            return
        try:
            self._from_viewer.feed(data)
        except TooBig as too_big:
            self.origin.write(data[: too_big.passed])
            self.end(TOO_BIG)
            return
        self.origin.write(data)
        if self.origin.get_write_buffer_size() > LARGEST_BACKLOG:
            self.viewer.pause_reading()

    def origin_sent(self, data: bytes) -> None:
        """Pass on bytes of the API: first its answer to the handshake, then frames."""
        if self.viewer.is_closing():
            return
        self._active = self._loop.time()
        try:
            self._from_origin.feed(self._frames_in(data))
        except TooBig:
            logger.exception("a function posted more than %d bytes at once", self._quotas.websocket_message)
            self.end(TOO_BIG)
            return
        self.viewer.write(data)
        if self.viewer.get_write_buffer_size() > LARGEST_BACKLOG:
            logger.warning("a viewer's reader stalled: its socket is ended")
            self.viewer.abort()

    def end(self, code: int) -> None:
        """Close both sides, with a close frame of `code` where one can be inserted."""
        if self._accepted and self._from_origin.between_frames:
            self.viewer.write(close_frame(code, masked=False))
        if self.origin and not self.origin.is_closing():
            if self._from_viewer.between_frames:
                self.origin.write(close_frame(code, masked=True))
            self.origin.close()
        self.viewer.close()

    def closed(self) -> None:
        """Close the other side too when one is gone."""
        self.forget()
        self.viewer.close()
        if self.origin:
            self.origin.close()
        self.finished.set()

    def forget(self) -> None:
        """Cancel the timer."""
        self._timer.cancel()

    def _frames_in(self, data: bytes) -> bytes:
        """Return the frames in the API's bytes, without the answer to the handshake."""
        if self._accepted:
            return data
        self._accepted = data.startswith(b"HTTP/1.1 101")
        if not self._accepted and self.refusal is None:
            self.refusal = refusal_in(data)
        return data.partition(b"\r\n\r\n")[2] if self._accepted else b""

    def _check_age(self) -> None:
        now = self._loop.time()
        idle_until = self._active + self._quotas.websocket_idle_seconds
        ends = self._started + self._quotas.websocket_seconds
        if now >= min(idle_until, ends):
            self.end(GOING_AWAY)
        else:
            self._timer = self._loop.call_later(min(idle_until, ends) - now, self._check_age)


class OriginSide(asyncio.Protocol):
    """The connection to the WebSocket API."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def data_received(self, data: bytes) -> None:
        """Receive bytes of the API."""
        self._relay.origin_sent(data)

    def resume_writing(self) -> None:
        """Read from the viewer again after the API has received the earlier bytes."""
        if not self._relay.viewer.is_closing():
            self._relay.viewer.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """End with the API's side."""
        self._relay.closed()


class ViewerSide(asyncio.Protocol):
    """The viewer's connection, from the moment its handshake has been read."""

    def __init__(self, relay: Relay, http: asyncio.BaseProtocol) -> None:
        self._relay = relay
        self._http = http

    def data_received(self, data: bytes) -> None:
        """Receive bytes of the viewer."""
        self._relay.viewer_sent(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the viewer's side, and let the HTTP server forget the connection."""
        self._relay.closed()
        self._http.connection_lost(exc)
