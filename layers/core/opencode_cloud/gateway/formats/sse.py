"""Server-sent events: cutting a stream of bytes into whole events, in time linear in its length."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAXIMUM_EVENT = 64 * 1024 * 1024
"""The longest event in bytes. A stream with a longer one counts as garbage."""

_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9_.-]*")
_BOM = b"\xef\xbb\xbf"


class Splitter:
    """Splits chunks with any boundaries into events, without adding, losing or changing a byte."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0

    @property
    def held(self) -> int:
        """Bytes of an incomplete event."""
        return len(self._held)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the events that are complete now, each with the empty line that ends it."""
        if not self._held and b"\r" not in chunk and chunk.endswith(b"\n\n"):
            yield from self._whole(chunk)
            return
        self._held += chunk
        yield from self._cut()

    @staticmethod
    def _whole(chunk: bytes) -> Iterator[bytes]:
        start = 0
        while (end := chunk.find(b"\n\n", start) + 2) > 1:
            yield chunk[start:end]
            start = end
        if start < len(chunk):  # the last of three line ends
            yield chunk[start:]

    def _cut(self) -> Iterator[bytes]:
        held, start = self._held, 0
        while (end := _END.search(held, max(start, self._searched))) is not None:
            yield bytes(held[start : end.end()])
            start = self._searched = end.end()
        del held[:start]
        self._searched = max(0, len(held) - 3)

    def rest(self) -> bytes:
        """Return the rest after the end of the stream: an event without an empty line after it, or a part of one."""
        rest = bytes(self._held)
        self._held.clear()
        self._searched = 0
        return rest


def data_of(event: bytes) -> bytes | None:
    """Return an event's data, None if it has none (comments, names alone).

    Unknown fields are ignored (WHATWG HTML, 9.2.6). Raises :class:`ValueError` for a line that is no field.
    """
    if event.startswith(b"data: ") and event.endswith(b"\n\n") and event.find(b"\n") == len(event) - 2:
        return event[6:-2]
    if event.startswith(_BOM):
        event = event[3:]
    data: list[bytes] = []
    for line in _LINE.split(event):
        field, colon, value = line.partition(b":")
        if field == b"data":
            data.append(value[1:] if value.startswith(b" ") else value)
        elif field and not (colon and _FIELD.fullmatch(field)):
            raise ValueError("not a line of an event stream")
    return b"\n".join(data) or None


def event(name: str, data: bytes) -> bytes:
    """Write an event with a name."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def unnamed_event(data: bytes) -> bytes:
    """Write an event of data alone."""
    return b"data: %b\n\n" % data


COMMENT = b": keep-alive\n\n"
"""An event with only a comment, which clients ignore by the standard (WHATWG HTML, 9.2.6)."""
