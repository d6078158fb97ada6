"""JSON from clients: every reader can read back each accepted document."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.foreign_json import DEEPEST, LONGEST_NUMBER, decode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Form(msgspec.Struct):
    data: msgspec.Raw


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * levels + "1" + closing * levels).encode()


@given(VALUES)
def test_any_ordinary_document_is_accepted(value: Any) -> None:
    assert decode(json.dumps({"data": value}, ensure_ascii=False).encode("utf-8", "replace"), dict[str, Any])


@pytest.mark.parametrize("bad", [b"caf\xe9", b"caf\xc3", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\xaf"])
def test_bytes_that_are_not_utf_8_are_refused_also_where_nothing_reads_them(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"byte 10 is not|byte 13 is not"):
        decode(b'{"data": "' + bad + b'"}', Form)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_has_a_limit(opening: str, closing: str) -> None:
    levels = DEEPEST // (opening.count("[") + opening.count("{"))
    decode(nested(levels, opening, closing), object)
    for deeper in (levels + 1, 100_000):
        with pytest.raises(ValueError, match="nested"):
            decode(nested(deeper, opening, closing), object)
        with pytest.raises(ValueError, match="nested"):
            decode(b'{"data":' + nested(deeper, opening, closing) + b"}", Form)


def test_text_may_hold_any_number_of_brackets_and_digits() -> None:
    text = '[{"' * 1000 + "\\" * 3 + '"' + "9" * 5000
    assert decode(json.dumps({"data": text}).encode(), dict[str, str]) == {"data": text}


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_has_a_limit(sign: str) -> None:
    decode(f'{{"data":{sign}{"9" * LONGEST_NUMBER}}}'.encode(), Form)
    with pytest.raises(ValueError, match="digits"):
        decode(f'{{"data":{sign}{"9" * (LONGEST_NUMBER + 1)}}}'.encode(), Form)


@given(st.binary())
def test_no_bytes_raise_another_error(body: bytes) -> None:
    try:
        decode(body, object)
    except ValueError:
        return


@pytest.mark.parametrize("body", [b"]" * 500 + b"[" * 500, b'"[' * 500, b'{"a' + b"[" * 500])
def test_broken_documents_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(body, object)
