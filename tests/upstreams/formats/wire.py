"""What every format has: a path, a way to read requests, and ways to say an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..conversations import Heard
from ..scripts import Call, Usage

Json = dict[str, Any]
STAMP = "@" * 20
"""Stands in a text for the time at which it is sent."""
SIGNATURE = "c2lnbmVkIGJ5IHRoZSB1cHN0cmVhbQ=="
"""What proves reasoning, or holds it encrypted."""
PIECE = 12
"""Characters of arguments in one event."""


@dataclass(frozen=True)
class Reply:
    """What an upstream answers to one request."""

    id: str
    model: str
    words: tuple[str, ...] = ()
    think: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    stop: str = "end"
    usage: Usage | None = None
    """None: it does not say."""
    usage_asked: bool = True
    """Of streams in Chat Completions."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.words)

    @property
    def thought(self) -> str:
        """The whole reasoning."""
        return "".join(self.think)

    def call_id(self, index: int) -> str:
        """Return the id of a call: unique in the conversation."""
        return f"call_{self.id}_{index}"


@dataclass(frozen=True)
class Wire:
    """A wire format."""

    name: str
    path: re.Pattern[str]
    """Of the end of a request's path; groups `model` and `method` where the path has them."""
    read: Callable[[Json], Heard]
    whole: Callable[[Reply], Json]
    """The answer that is not streamed."""
    events: Callable[[Reply], Iterator[bytes]]
    """The frames of the streamed answer."""
    error: Callable[[int, str], Json]
    """The body of an error."""
    error_event: Callable[[], bytes]
    """An error within a stream: the upstream is overloaded."""
    content_type: str = "text/event-stream"


def words(text: str) -> tuple[str, ...]:
    """Split a text into what is sent in one event each."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


def pieces(text: str) -> Iterator[str]:
    """Split arguments into what is sent in one event each."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def compact(document: Any) -> str:
    """Return JSON without spaces, as the providers send it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def data(document: Any) -> bytes:
    """Return a server-sent event without a name."""
    return f"data: {compact(document)}\n\n".encode()


def named(document: Json) -> bytes:
    """Return a server-sent event that is named by its type."""
    return f"event: {document['type']}\n".encode() + data(document)
