"""The parts of a format: a path, a reader of requests, and writers of answers."""

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
"""A placeholder in a text for the time of sending."""
SIGNATURE = "c2lnbmVkIGJ5IHRoZSB1cHN0cmVhbQ=="
"""The signature or the encrypted content of reasoning."""
PIECE = 12
"""The number of characters of arguments in one event."""


@dataclass(frozen=True)
class Reply:
    """The answer of an upstream to one request."""

    id: str
    model: str
    words: tuple[str, ...] = ()
    think: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    stop: str = "end"
    usage: Usage | None = None
    """None: the upstream does not report it."""
    usage_asked: bool = True
    """True if the client requested usage at the end of a stream of Chat Completions."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.words)

    @property
    def thought(self) -> str:
        """The whole reasoning."""
        return "".join(self.think)

    def call_id(self, index: int) -> str:
        """Return the id of a call, unique in the conversation."""
        return f"call_{self.id}_{index}"


@dataclass(frozen=True)
class Wire:
    """A wire format."""

    name: str
    path: re.Pattern[str]
    """A pattern for the end of a request's path, with groups `model` and `method` where the path has them."""
    read: Callable[[Json], Heard]
    whole: Callable[[Reply], Json]
    """Writes the answer that is not streamed."""
    events: Callable[[Reply], Iterator[bytes]]
    """Writes the frames of the streamed answer."""
    error: Callable[[int, str], Json]
    """Writes the body of an error."""
    error_event: Callable[[], bytes]
    """Writes the error of an overloaded upstream within a stream."""
    too_long: Callable[[], Json]
    """Writes the body of the error for a prompt that is longer than the context."""
    content_type: str = "text/event-stream"


def words(text: str) -> tuple[str, ...]:
    """Split a text into one piece per event."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


def pieces(text: str) -> Iterator[str]:
    """Split arguments into one piece per event."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def compact(document: Any) -> str:
    """Return JSON without spaces, as the providers send it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def data(document: Any) -> bytes:
    """Return a server-sent event without a name."""
    return f"data: {compact(document)}\n\n".encode()


def named(document: Json) -> bytes:
    """Return a server-sent event with its type as name."""
    return f"event: {document['type']}\n".encode() + data(document)
