"""JSON of JavaScript is readable: half a surrogate pair does not break a batch."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.json_codec import decode


class Body(msgspec.Struct):
    data: list[msgspec.Raw]


@pytest.mark.parametrize("half", [r"\ud83d", r"\uDE00", r"\ud83dx", r"\ud83d\ud83d\ude00", r"\\\ud83d"])
def test_half_a_pair_becomes_the_replacement_character(half: str) -> None:
    item = decode(b'{"data":[{"t":"' + half.encode() + b'"}]}', Body).data[0]
    assert "�" in json.loads(bytes(item))["t"]


def test_a_whole_pair_and_an_escaped_backslash_stay_as_they_are() -> None:
    item = decode(rb'{"data":[{"t":"\ud83d\ude00 \\ud83d \ud83d"}]}', Body).data[0]
    assert bytes(item) == rb'{"t":"\ud83d\ude00 \\ud83d \ufffd"}'


@given(st.text(st.characters(codec=None)))
def test_any_string_that_javascript_can_hold_is_read(text: str) -> None:
    body = json.dumps({"data": [{"t": text}]}).encode()
    read = json.loads(bytes(decode(body, Body).data[0]))["t"]
    assert read == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b'{"data":', Body)
