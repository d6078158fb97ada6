"""Content codings: the best that a client accepts, and bodies that come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit import http_events
from opencode_cloud.kit.content_codings import Coding, best_coding, pack, unpack


@pytest.mark.parametrize(
    ("header", "best"),
    [
        ("", Coding.IDENTITY),
        ("gzip", Coding.GZIP),
        ("gzip, deflate, br, zstd", Coding.ZSTD),
        ("GZIP;q=1.0, *;q=0", Coding.GZIP),
        ("zstd;q=0, gzip ; q=0.5", Coding.GZIP),
        ("gzip;q=0", Coding.IDENTITY),
        ("gzip;q=high", Coding.IDENTITY),
        ("zstdx, gzipx", Coding.IDENTITY),
    ],
)
def test_the_best_accepted_coding_is_found(header: str, best: Coding) -> None:
    assert best_coding(header) is best


@given(st.text())
def test_no_header_is_an_error(header: str) -> None:
    assert best_coding(header) in Coding


@given(st.binary(), st.sampled_from(Coding))
def test_a_body_comes_back_as_it_was(body: bytes, coding: Coding) -> None:
    assert unpack(pack(body, coding), coding) == body
    assert pack(body, coding) == pack(body, coding)


@pytest.mark.parametrize("coding", list(Coding))
def test_a_large_answer_is_packed_as_the_client_accepts_it(coding: Coding) -> None:
    event = {"headers": {"accept-encoding": f"{coding}, br"}}
    answer = http_events.reply(event, b"x" * http_events.PACK_FROM_BYTES)
    assert answer.headers.get("Content-Encoding", "identity") == coding
    assert answer.base64_encoded == (coding is not Coding.IDENTITY)
    assert http_events.reply(event, b"{}").base64_encoded is False
