"""The picture of a share for previews of links."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import pytest

from opencode_cloud.sharing.rendering.card import HEIGHT, WIDTH, Summary, render_card, summarize
from tests.unit.sharing.conversation import Item, conversation, part, session, user
from tests.unit.sharing.whole import whole_conversation


def summarized(items: Sequence[Item]) -> Summary:
    whole = whole_conversation(items)
    return summarize(whole.single, whole.heads)


def pixels(picture: bytes) -> bytes:
    """Return the rows of a picture, one byte for a pixel, after checking that it is whole."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    at, data = 8, b""
    while at < len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", picture, at + 8 + length) == (zlib.crc32(kind + body),)
        if kind == b"IHDR":
            assert struct.unpack_from(">II", body) == (WIDTH, HEIGHT)
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    rows = zlib.decompress(data)
    assert len(rows) == (WIDTH + 1) * HEIGHT
    return rows


def test_a_share_in_a_few_words() -> None:
    summary = summarized(conversation())
    assert summary == Summary("twenty turns", "Stub One", 1, "Write two files, please.")
    assert summary.facts == "Stub One · 1 turn"
    assert summary.description == "Stub One · 1 turn · Write two files, please."


def test_a_share_without_words_is_described_neutrally() -> None:
    assert Summary().title == "A shared session"
    assert Summary().description == "A session of the coding agent opencode."


def test_text_that_the_client_made_is_no_prompt() -> None:
    items = [session(), user(), part("msg_1", "prt_1", "text", text="hidden", synthetic=True)]
    assert summarized(items).prompt == ""


@pytest.mark.parametrize(
    "title", ["x", "A title of words " * 20, "W" * 400, "Größe, Ελληνικά, Кириллица", "购物车", "🙂", "", "a\n<b>"]
)
def test_every_title_has_a_picture(title: str) -> None:
    drawn = pixels(render_card(Summary(title, "m" * 90, 3, title)))
    assert len(set(drawn)) > 10


def test_the_picture_shows_the_title() -> None:
    assert pixels(render_card(Summary("one"))) != pixels(render_card(Summary("two")))
    assert pixels(render_card(Summary("购物车"))) == pixels(render_card(Summary()))
