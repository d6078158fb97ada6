"""Prevents opencode from retrying a call that was refused for good.

Client 1.18.33 searches message and body of each HTTP error, of any status, for signs of a temporary failure: ``429``,
``500``, ``502``, ``503``, ``504`` and ``524`` anywhere, even within an amount of $500.00 or an id. Then it sends the
call again after ``retry-after``, which can be weeks for a monthly budget. So these digits are separated: in messages by
a character without width, elsewhere by another spelling of the same JSON.
"""

from __future__ import annotations

import re
from typing import cast

import msgspec

_JOINER = "\u2060"
_MIDDLE = r"(?<=4)2(?=9)|(?<=5)0(?=[0234])|(?<=5)2(?=4)"
"""The second digit of each sequence."""
_IN_TEXT = re.compile(_MIDDLE)
_IN_STRING = re.compile(rb"\\u[0-9a-fA-F]{4}|" + _MIDDLE.encode())
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[0-9][0-9.eE+-]*')
PASSING = frozenset({408, 409, 429})
"""Statuses below 500 after which a client may repeat a call."""


def is_final(status: int) -> bool:
    """Tell whether a status means that the same call would be refused again."""
    return status < 500 and status not in PASSING


def final_text(message: str) -> str:
    """Return a message that looks the same to people, and final to the client."""
    return _IN_TEXT.sub(lambda match: _JOINER + match[0], message)


def final_json(body: bytes) -> bytes:
    """Return the same JSON document in another spelling: escaped digits in strings, whole numbers with an exponent.

    Fractions stay unchanged. A number with two of the sequences that no single point can separate stays unchanged too;
    this is one amount in a thousand.
    """
    return _TOKEN.sub(lambda token: _string(token[0]) if token[0][:1] == b'"' else _number(token[0]), body)


def final_refusal(status: int, body: bytes) -> bytes:
    """Return an upstream's own error, so that opencode does not retry a final one. Other errors keep their bytes."""
    if not is_final(status) or not _IN_TEXT.search(body.decode("latin-1")):
        return body
    try:
        return final_json(msgspec.json.encode(_final_messages(msgspec.json.decode(body))))
    except (ValueError, RecursionError):
        return final_text(body.decode("utf-8", "replace")).encode()


def _final_messages(value: object) -> object:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {
            name: final_text(member) if name == "message" and isinstance(member, str) else _final_messages(member)
            for name, member in members.items()
        }
    return list(map(_final_messages, cast("list[object]", value))) if isinstance(value, list) else value


def _string(text: bytes) -> bytes:
    return _IN_STRING.sub(lambda match: match[0] if match[0][:1] == b"\\" else b"\\u003" + match[0], text)


def _number(digits: bytes) -> bytes:
    if not digits.isdigit() or not _IN_TEXT.search(digits.decode()):
        return digits
    for whole in range(1, len(digits)):
        rest = digits[whole:].rstrip(b"0")
        written = digits[:whole] + (b"." + rest if rest else b"") + b"e%d" % (len(digits) - whole)
        if not _IN_TEXT.search(written.decode()):
            return written
    return digits
