from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.pagination import decode_cursor, decode_id, encode_cursor, page_of


class Shown(BaseModel):
    number: int


@given(st.datetimes(), st.text(max_size=40))
def test_a_cursor_brings_back_the_key_that_was_put_into_it(moment: datetime, word: str) -> None:
    assert decode_cursor(encode_cursor((moment, word)), tuple[datetime, str]) == (moment, word)


def test_no_cursor_is_the_first_page() -> None:
    assert decode_cursor(None, tuple[str]) is None


BEFORE_TIME, AFTER_TIME = (
    encode_cursor((moment, "x")) for moment in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")
)
"""Cursors with times that have no UTC."""


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJhIl0K", "AAAA", "W10", BEFORE_TIME, AFTER_TIME])
def test_a_cursor_of_another_kind_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        decode_cursor(cursor, tuple[datetime, str])
    assert refusal.value.code == "invalid_cursor"


def test_pages_of_any_size_hold_every_row_once() -> None:
    rows = list(range(10))
    seen: list[int] = []
    after = -1
    while True:
        page = page_of(rows[after + 1 :][:4], 3, lambda row: (row,), lambda row: Shown(number=row))
        seen += [item.number for item in page.data]
        key = decode_cursor(page.next_cursor, tuple[int])
        if key is None:
            break
        (after,) = key
    assert seen == rows


def test_the_id_of_a_cursor_is_its_only_part() -> None:
    assert decode_id(None) is None
    assert decode_id(encode_cursor(("key_1",))) == "key_1"
    for wrong in (("key_1", "key_2"), (1,)):
        with pytest.raises(BadRequest):
            decode_id(encode_cursor(wrong))
