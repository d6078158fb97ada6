"""Frames that are made once for all sockets, and senders that wait for their readers."""

from __future__ import annotations

import asyncio
import zlib
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode

from opencode_cloud.kit import websocket_server
from opencode_cloud.kit.websocket_server import DEFLATED_BYTES, ENDPOINT, PreparedFrame, ServerSocket

HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Transport:
    """A transport whose peer reads nothing."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        return

    abort = close


@pytest.fixture
def socket() -> ServerSocket:
    """Return an accepted socket."""
    endpoint = SimpleNamespace(connect=lambda socket: socket.accept(), closed=lambda _: None)
    made = ServerSocket(None, SimpleNamespace(connections=set()), {ENDPOINT: endpoint})
    made.connection_made(cast("Any", Transport()))
    made.data_received(HANDSHAKE)
    assert made.is_open
    return made


def payload(frame: bytes) -> tuple[int, bytes]:
    """Return the first byte and the payload of an unmasked frame."""
    length = frame[1]
    start = 2 if length < 126 else 4 if length == 126 else 10
    return frame[0], frame[start:]


@given(st.binary(max_size=DEFLATED_BYTES - 1))
def test_a_short_frame_is_sent_as_it_is(text: bytes) -> None:
    frame = PreparedFrame(text)
    assert frame.deflated == frame.plain
    assert payload(frame.plain) == (0x80 | Opcode.TEXT, text)


@given(st.text(min_size=1, max_size=20).map(lambda text: text.encode() * (2 * DEFLATED_BYTES)))
def test_a_long_frame_is_deflated_without_a_context(text: bytes) -> None:
    first, packed = payload(PreparedFrame(text).deflated)
    assert first == 0x80 | 0x40 | Opcode.TEXT
    assert len(packed) < len(text)
    for _ in range(2):
        assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed + b"\x00\x00\xff\xff") == text


def test_clients_offer_the_extension_under_the_name_that_servers_accept() -> None:
    assert ClientPerMessageDeflateFactory().name == "permessage-deflate"


async def test_a_sender_waits_until_the_reader_has_taken_most(socket: ServerSocket) -> None:
    assert await socket.drained()
    socket.pause_writing()
    waiting = asyncio.create_task(socket.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    socket.resume_writing()
    assert await waiting


async def test_a_reader_that_takes_nothing_is_closed(socket: ServerSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_server, "DRAIN_SECONDS", 0.0)
    socket.pause_writing()
    assert not await socket.drained()
    assert not socket.is_open


async def test_a_sender_does_not_wait_for_a_reader_that_has_left(socket: ServerSocket) -> None:
    socket.pause_writing()
    waiting = asyncio.create_task(socket.drained())
    await asyncio.sleep(0)
    socket.connection_lost(None)
    assert not await waiting
