"""Frames that are made once for all sockets."""

import zlib

from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode

from opencode_cloud.kit.websocket_server import DEFLATED_BYTES, PreparedFrame


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
