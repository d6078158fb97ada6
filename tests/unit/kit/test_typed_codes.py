"""Codes are taken in any script and spelling."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.identity.service.devices import normal_user_code
from opencode_cloud.kit.typed_codes import typed_code

ZEROS = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Nd" and chr(code).isdigit()]
SCRIPTS = [zero for zero in ZEROS if unicodedata.digit(zero) == 0]


@pytest.mark.parametrize("zero", SCRIPTS)
def test_digits_of_each_script_are_digits(zero: str) -> None:
    assert typed_code("".join(chr(ord(zero) + digit) for digit in range(10))) == "0123456789"


@pytest.mark.parametrize(
    "typed", ["bcdf-ghjk", "\uff22\uff23\uff24\uff26\uff0d\uff47\uff48\uff4a\uff4b", " BC DF\u200b\u2013GH\u00a0JK\r\n"]
)
def test_a_user_code_is_read_in_each_spelling(typed: str) -> None:
    assert normal_user_code(typed) == "BCDFGHJK"


@given(st.text(max_size=5000))
def test_each_text_is_read(text: str) -> None:
    assert typed_code(text).isalnum() or typed_code(text) == ""
