r"""The text of a JSON document for a search, and the places of what was found in the document.

Content is often JSON within a string of JSON, such as the arguments of a tool. So escapes of any depth are read: a
newline may be written as ``\n``, ``\\n`` or ``\\\\n``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

import msgspec

_UNIT = re.compile(
    rb'(\\+)(u001[bB](?:\[[0-9;]*[A-Za-z])?|u00[2-7][0-9a-fA-F]|u000[9aAdD]|["/nrt]|u[0-9a-fA-F]{4}|[bf])?'
)
"""A run of backslashes and what it may escape. It is at one place of the document, and never cut."""
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_BLANKS = {b'"': b'"', b"b": b" ", b"f": b" "}
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],:]', re.DOTALL)
"""A string or a mark of structure. The last quotation mark is optional, so that no text takes quadratic time."""
LONGEST_FIELD = 200
"""Characters of a field's name in a report."""


class PlainText:
    """The text of a JSON document, without escapes."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.text = _UNIT.sub(_plain, document) if b"\\" in document else document

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the document of a part of the text. It holds whole escapes only."""
        return self._origin(start), self._origin(end)

    @cached_property
    def _steps(self) -> tuple[list[int], list[int]]:
        """The places after each escape, in the text and in the document."""
        in_text, in_document, shift = [0], [0], 0
        if self.text is self.document:
            return in_text, in_document
        for match in _UNIT.finditer(self.document):
            read = _plain(match)
            at = match.start() - shift
            shift += match.end() - match.start() - len(read)
            if read[:1] == b"\\":
                # Only the backslashes are an escape. The bytes after them are their own.
                in_text.append(at + 1)
                in_document.append(match.end(1))
                continue
            # An escape is never cut, so all but the first of its bytes are placed behind it.
            for position in range(at + 1, at + len(read) + 1):
                in_text.append(position)
                in_document.append(match.end())
        return in_text, in_document

    def _origin(self, position: int) -> int:
        in_text, in_document = self._steps
        step = bisect_right(in_text, position) - 1
        return in_document[step] + position - in_text[step]


def _plain(match: re.Match[bytes]) -> bytes:
    return _read(match[1], match[2] or b"")


@lru_cache(4096)
def _read(slashes: bytes, escaped: bytes) -> bytes:
    """Return what a run of backslashes and the text after it stand for."""
    if not escaped:
        return b"\\"
    is_escape = len(slashes) % 2 == 1
    if escaped in _CONTROLS:
        return _CONTROLS[escaped]
    if escaped == b"/":
        return escaped
    if escaped[:5].lower() == b"u001b":
        return b" "  # a code of a terminal, such as a colour
    if len(escaped) == 5 and escaped.startswith(b"u00") and int(escaped[1:], 16) < 0x80:
        return bytes([int(escaped[1:], 16)])
    if not is_escape:
        # The document's own quotation mark, or plain text after backslashes.
        return b"\\" + escaped
    if escaped in _BLANKS:
        return _BLANKS[escaped]
    return chr(int(escaped[1:], 16)).encode("utf-8", "surrogatepass")


class Place(msgspec.Struct, frozen=True):
    """A part of a string of a document, in bytes, with the number of the span that covers it and its field."""

    start: int
    end: int
    span: int
    field: str


class _Frame:
    """An object or an array that a document's reader is in."""

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = is_object
        self.at_name = is_object
        self.name = ""
        self.index = 0

    def step(self) -> str:
        return f".{self.name}" if self.is_object else f"[{self.index}]"


def places(document: bytes, spans: Sequence[tuple[int, int]]) -> Iterator[Place]:
    """Yield the parts of the document's strings that ``spans`` cover. They must ascend and not overlap.

    Anything outside strings is structure, and is left out. A field is named like ``state.input.command`` or
    ``diffs[2].after``. A name that is covered itself appears as ``*``. A name stays where a span began before it.
    """
    frames: list[_Frame] = []
    pending = 0
    for token in _TOKEN.finditer(document):
        start, end = token.span()
        while pending < len(spans) and spans[pending][1] <= start:
            pending += 1
        if pending == len(spans):
            return
        mark = document[start]
        if mark == 0x22:  # a quotation mark
            covered = list(_covered(spans, pending, start + 1, end - 1))
            at_name = bool(frames) and frames[-1].at_name
            if at_name:  # the lines of a key are values of a list, and no name goes on from them
                covered = [each for each in covered if spans[each[0]][0] > start]
            if at_name:
                frames[-1].name = "*" if covered else document[start + 1 : end - 1].decode("utf-8", "replace")
            for span, low, high in covered:
                yield Place(low, high, span, _path(frames))
        else:
            _enter(frames, mark)


def _covered(spans: Sequence[tuple[int, int]], first: int, low: int, high: int) -> Iterator[tuple[int, int, int]]:
    for number in range(first, len(spans)):
        start, end = spans[number]
        if start >= high:
            return
        if min(end, high) > max(start, low):
            yield number, max(start, low), min(end, high)


def _enter(frames: list[_Frame], mark: int) -> None:
    match chr(mark):
        case "{":
            frames.append(_Frame(is_object=True))
        case "[":
            frames.append(_Frame(is_object=False))
        case "}" | "]":
            if frames:
                frames.pop()
        case ":":
            if frames:
                frames[-1].at_name = False
        case _:
            if frames:
                frames[-1].at_name = frames[-1].is_object
                frames[-1].index += 1


def _path(frames: Iterable[_Frame]) -> str:
    return "".join(frame.step() for frame in frames).removeprefix(".")[:LONGEST_FIELD]
