"""Halves of characters: JavaScript cuts text by UTF-16 unit, so a chunk may end in the middle of a character."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NoReturn

import msgspec

from opencode_cloud.gateway.formats.models import Closed, Event, Grown

_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def decode_event(data: bytes) -> object:
    """Decode the data of an event; halves of characters stay in its texts. Raises :class:`ValueError`."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        if not _ESCAPED.search(data):
            raise
        return json.loads(data, parse_constant=_refuse)


class WholeCharacters:
    """Joins halves of characters of each block. A half that stays alone becomes U+FFFD, as UTF-8 encoders do."""

    def __init__(self) -> None:
        self.held: dict[int, str] = {}
        """Halves that wait for their other half, by block."""

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield events whose texts are valid UTF-8."""
        for event in events:
            if isinstance(event, Grown):
                text = self.held.pop(event.index, "") + event.text
                if not text.isascii() and _HALF.search(text):
                    text = self._whole(event.index, text)
                if text:
                    yield Grown(event.index, text)
                continue
            if isinstance(event, Closed) and self.held.pop(event.index, ""):
                yield Grown(event.index, _REPLACEMENT)
            yield event

    def _whole(self, index: int, text: str) -> str:
        if "\ud800" <= text[-1] <= "\udbff":
            text, self.held[index] = text[:-1], text[-1]
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return _HALF.sub(_REPLACEMENT, joined)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
