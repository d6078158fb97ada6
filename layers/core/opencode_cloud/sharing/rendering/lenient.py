"""Lenient reading of JSON from any author: a value of the wrong type counts as absent, and nothing raises."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

import msgspec

JsonObject: TypeAlias = Mapping[str, object]

MAXIMUM_DEPTH = 200  # of nested arrays and objects; deeper JSON counts as unreadable, so that no walk over it fails
_LATEST = 253_402_300_799_999  # the end of the year 9999, in milliseconds: the last time that can be written as a date
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and marks that show a text in another order than a compiler or a shell reads it."""
_NEWLINE = re.compile(r"\r\n?")
_HOME = re.compile(
    r"(?:(?<=file://)|(?<![A-Za-z0-9_./~-]))(?:/home/|/Users/|[A-Za-z]:\\Users\\)[^\x00-\x20/\\\"'`:;,<>|()\[\]{}]+"
)


def decode(raw: bytes) -> object:
    """Decode JSON as browsers do: lone surrogates become U+FFFD and infinite numbers null. Unreadable JSON is None."""
    try:
        value = _decode(raw)
        nested = raw.count(b"{") + raw.count(b"[") > MAXIMUM_DEPTH
        return None if nested and _deeper(value, MAXIMUM_DEPTH) else value
    except (ValueError, RecursionError):
        return None


def _decode(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return _scrub(json.loads(raw))  # slower, but reads input that msgspec refuses: lone surrogates, 1e999


def _scrub(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_scrub(member) for member in cast("list[object]", value)]
        case dict():
            return {str(_scrub(key)): _scrub(member) for key, member in cast("dict[str, object]", value).items()}
        case _:
            return value


def _deeper(value: object, limit: int) -> bool:
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    if not isinstance(value, list):
        return False
    return limit == 0 or any(_deeper(member, limit - 1) for member in cast("list[object]", value))


def mapping(value: object) -> JsonObject:
    """Return ``value`` if it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def mappings(value: object) -> list[JsonObject]:
    """Return the objects of an array; return none for any other type."""
    return [cast("JsonObject", member) for member in array(value) if isinstance(member, dict)]


def array(value: object) -> list[object]:
    """Return ``value`` if it is an array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def text(value: object) -> str:
    """Return ``value`` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | float | None:
    """Return ``value`` if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 1e300 else None


def milliseconds(value: object) -> int | None:
    """Return a time in milliseconds since 1970 that can be written as a date, or None."""
    time = number(value)
    return int(time) if time is not None and 0 < time <= _LATEST else None


def count(value: object) -> int:
    """Return a count of things: 0 unless ``value`` is a number over 0."""
    return max(0, int(number(value) or 0))


def compact(value: object) -> str:
    """Encode a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(value: str) -> str:
    r"""Return text without terminal escapes, control characters and marks that reorder it.

    Line ends become ``\n``, home directories ``~``.
    """
    if _CONTROL.search(value) is not None:
        value = _CONTROL.sub("", _NEWLINE.sub("\n", _ANSI.sub("", value)))
    return without_home(value)


def without_home(value: str) -> str:
    """Return text with ``~`` in place of home directories, whose names are those of people."""
    if "/home/" in value or "/Users/" in value or "\\Users\\" in value:
        return _HOME.sub("~", value)
    return value


def styled(value: str) -> Iterator[tuple[str, str]]:
    """Split the output of a terminal into its control sequences and texts: (sequence before, text)."""
    value = _NEWLINE.sub("\n", value)
    at, sequence = 0, ""
    for found in _ANSI.finditer(value):
        yield sequence, _CONTROL.sub("", value[at : found.start()])
        at, sequence = found.end(), found[0]
    yield sequence, _CONTROL.sub("", value[at:])


def line(value: str, limit: int = 300) -> str:
    """Return text as one line of at most ``limit`` characters."""
    words = " ".join(plain(value[: limit * 4]).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"
