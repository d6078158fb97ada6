"""The entrance for JSON from clients: accept only what every reader can read back.

msgspec leaves ``Raw`` parts of a document unread, so a body that it decodes can still hold bytes that are not UTF-8,
integers that other libraries refuse, or nesting that ends in a RecursionError when somebody reads it.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TypeVar

import msgspec

from opencode_cloud.kit import json_codec

Form = TypeVar("Form")
DEEPEST = 200
"""Most levels of arrays and objects. Python's own decoder stops at 990 and Go's at 10,000."""
LONGEST_NUMBER = 300
"""Most digits in a row. Python refuses integers of more than 4,300 digits."""

# The pattern is linear: a string without an end counts up to the end of the body.
_STRING = rb'(?s)"(?:[^"\\]|\\.)*+"?'
_DIGITS_AS_ZERO = bytes(ord("0") if chr(byte).isdecimal() else byte for byte in range(256))
_LONG_NUMBER = b"0" * (LONGEST_NUMBER + 1)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LEVELS = [0] * 256
_LEVELS[ord("[")] = _LEVELS[ord("{")] = 1
_LEVELS[ord("]")] = _LEVELS[ord("}")] = -1


def decode(body: bytes, form: type[Form]) -> Form:
    """Decode a client's ``body`` into ``form``. Raises ValueError, with a sentence that names the fault."""
    _check_text(body)
    _check_structure(body)
    try:
        return json_codec.decode(body, form)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def _check_text(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error


def _check_structure(body: bytes) -> None:
    nested = body.count(b"[") + body.count(b"{") > DEEPEST
    # Text may hold brackets and long runs of digits, so look closer only where the whole body has them.
    if not nested and not _has_long_number(body):
        return
    bare = re.sub(_STRING, b"", body)
    if _has_long_number(bare):
        raise ValueError(f"a number has more than {LONGEST_NUMBER} digits")
    if max(accumulate(map(_LEVELS.__getitem__, bare.translate(None, _NO_BRACKETS))), default=0) > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def _has_long_number(text: bytes) -> bool:
    # A tenth of the time of a regular expression, and each request has a body.
    return _LONG_NUMBER in text.translate(_DIGITS_AS_ZERO)
