"""The load generator's client reads an answer only when it is complete, in every framing that servers use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.posting import Answer, read_answer


def with_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def in_chunks(parts: list[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@given(st.binary(max_size=60))
def test_an_answer_with_a_length_is_complete_with_its_last_byte(body: bytes) -> None:
    sent = with_length(body)
    assert all(read_answer(bytearray(sent[:end])) is None for end in range(len(sent)))
    assert read_answer(bytearray(sent)) == Answer(200, body)


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_an_answer_in_chunks_is_complete_with_its_last_chunk(parts: list[bytes]) -> None:
    sent = in_chunks(parts)
    assert all(read_answer(bytearray(sent[:end])) is None for end in range(len(sent)))
    assert read_answer(bytearray(sent)) == Answer(202, b"".join(parts))


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 204 No Content\r\n", b"SSH-2.0\r\n\r\n"])
def test_without_a_whole_head_there_is_no_answer(sent: bytes) -> None:
    assert read_answer(bytearray(sent)) is None
