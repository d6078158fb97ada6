"""Positions of values in a JSON text, so that a page can show each fault at its line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from opencode_cloud.kit.json_documents import DocumentFault

AROUND = 2
"""Number of lines that are shown before and after a line with a fault."""
_BLANK = re.compile(r"[ \t\n\r]*")


class ExcerptLine(msgspec.Struct, frozen=True):
    """A line of a text, with its faults."""

    number: int
    text: str
    faults: Sequence[str]


def parse(text: str) -> Any:
    """Parse JSON; raises ``ValueError``, also for an object with a duplicate name."""
    return json.loads(text, object_pairs_hook=_unique)


def excerpt(text: str, faults: Sequence[DocumentFault]) -> list[ExcerptLine]:
    """Return the lines of a JSON text that have faults, with the lines around them."""
    starts = positions(text)
    at: dict[int, list[str]] = {}
    for fault in faults:
        at.setdefault(_line(text, starts, fault.path), []).append(f"{fault.path or 'The document'}: {fault.message}")
    lines = text.split("\n")
    return [
        ExcerptLine(number, lines[number - 1], at.get(number, ()))
        for number in range(1, len(lines) + 1)
        if any(abs(number - faulty) <= AROUND for faulty in at)
    ]


def positions(text: str) -> dict[str, int]:
    """Return the start of each value of a JSON text, by JSON pointer, as an offset in characters.

    For an object's member it is the start of the name. ``text`` must be JSON.
    """
    starts = {"": _skip(text, 0)}
    _walk(text, starts[""], "", starts)
    return starts


def _walk(text: str, at: int, pointer: str, starts: dict[str, int]) -> int:
    """Record the starts of all values inside the value at ``at``; return the end of that value."""
    if text[at] == "{":
        return _members(text, at + 1, pointer, starts)
    if text[at] == "[":
        return _elements(text, at + 1, pointer, starts)
    return json.JSONDecoder().raw_decode(text, at)[1]


def _members(text: str, at: int, pointer: str, starts: dict[str, int]) -> int:
    at = _skip(text, at)
    while text[at] != "}":
        name, after = cast("tuple[str, int]", json.JSONDecoder().raw_decode(text, at))
        inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        starts[inner] = at
        at = _next(text, _walk(text, _skip(text, _skip(text, after) + 1), inner, starts))
    return at + 1


def _elements(text: str, at: int, pointer: str, starts: dict[str, int]) -> int:
    at, index = _skip(text, at), 0
    while text[at] != "]":
        inner = f"{pointer}/{index}"
        starts[inner] = at
        at, index = _next(text, _walk(text, at, inner, starts)), index + 1
    return at + 1


def _next(text: str, at: int) -> int:
    """Return the start of the next member, or the position of the closing bracket."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _line(text: str, starts: dict[str, int], pointer: str) -> int:
    """Return the line of a value, or of its nearest parent that is in the text."""
    while pointer not in starts:
        pointer = pointer.rpartition("/")[0]
    return text.count("\n", 0, starts[pointer]) + 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the name {twice!r} twice")
    return value
