"""Streams are split into events for any line ends and chunk boundaries. No byte is added, lost or changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.gateway.formats.sse import Splitter, data_of
from tests.unit.gateway.formats.speaking import chunks

CUTS = st.lists(st.integers(0, 10_000), max_size=8)
LINES = st.lists(st.sampled_from(["data: a", "data:b", "data: ", "event: x", ": note", "id: 1", ""]), max_size=12)


def split(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """Return the events of a stream in pieces, and the rest of the stream."""
    splitter = Splitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events, splitter.rest()


@given(st.lists(st.sampled_from([b"\r", b"\n", b"x", b":"]), max_size=30).map(b"".join), CUTS)
def test_all_bytes_come_out_as_they_went_in(stream: bytes, cuts: list[int]) -> None:
    events, rest = split(chunks(stream, cuts))
    assert b"".join(events) + rest == stream


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(lines=LINES, cuts=CUTS)
def test_the_same_data_is_read_wherever_chunks_end(end: str, lines: list[str], cuts: list[int]) -> None:
    stream = (end.join(lines) + 2 * end).encode()
    whole, cut = split([stream]), split(chunks(stream, cuts))
    assert [data for event in cut[0] if (data := data_of(event))] == [
        data for event in whole[0] if (data := data_of(event))
    ]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data: x\r\ndata: y\r\n\r\n", b"x\ny"),
        (b"event: e\rdata: x\rid: 1\r\r", b"x"),
        (b"\xef\xbb\xbfdata: x\n\n", b"x"),
        (b"\ndata: x\n\n", b"x"),
        (b"request-id: 7\ndata: x\n\n", b"x"),
        (b"x_vendor.note: 7\n\n", None),
        (b": only a comment\n\n", None),
        (b"event: e\n\n", None),
        (b"data:\n\n", None),
        (b"\n", None),
    ],
)
def test_data_is_read_as_the_standard_says(event: bytes, data: bytes | None) -> None:
    assert data_of(event) == data


@pytest.mark.parametrize("event", [b"<html>\n\n", b'{"a":1}\n\n', b"plain words\n\n", b"two words: 1\n\n"])
def test_what_is_no_event_is_refused(event: bytes) -> None:
    with pytest.raises(ValueError, match="event stream"):
        data_of(event)
