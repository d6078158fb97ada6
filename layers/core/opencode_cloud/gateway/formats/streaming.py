"""Common parts of the readers and writers of streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.models import (
    Closed,
    Ended,
    Event,
    Grown,
    Opened,
    ReasoningBlock,
    Signed,
    TextBlock,
    UpstreamFault,
)


class StreamReader(Protocol):
    """Reads the events of one format's stream."""

    tokens: Tokens | None
    tier: str
    """The service tier that serves; empty: the upstream has not said."""
    complete: bool
    """True once the event that ends the format's streams was read."""
    fault: UpstreamFault | None

    def read(self, data: bytes) -> Iterable[Event]:
        """Return the neutral events of one event's data. Raises :class:`Malformed` or a decoding error for garbage."""
        ...

    def finish(self) -> Iterable[Event]:
        """Return the events of the stream's end, in formats without an event for it."""
        ...


class StreamWriter(Protocol):
    """Writes events into a stream of one format."""

    @property
    def sequence(self) -> int:
        """The number that the next event has, in formats that number them."""
        ...

    def write(self, event: Event, tokens: Tokens | None) -> bytes:
        """Return the bytes to send for an event; ``tokens`` is the usage known so far."""
        ...


class BlockQueue:
    """Orders blocks that grow in parallel one after the other, for formats that can send only one at a time.

    Events of a later block are held until the blocks before it are complete.
    """

    def __init__(self) -> None:
        self._open: list[int] = []
        self._held: dict[int, list[Event]] = {}

    def pass_on(self, event: Event) -> Iterator[Event]:
        """Yield the events that can be sent now."""
        if isinstance(event, Ended):
            for index in self._open[1:]:
                yield from self._held.pop(index, ())
            self._open.clear()
            yield event
            return
        if isinstance(event, Opened):
            self._open.append(event.index)
        if event.index != self._open[0]:
            self._held.setdefault(event.index, []).append(event)
            return
        yield event
        if isinstance(event, Closed):
            yield from self._advance()

    def _advance(self) -> Iterator[Event]:
        del self._open[0]
        while self._open:
            held = self._held.pop(self._open[0], [])
            yield from held
            if not held or not isinstance(held[-1], Closed):
                return
            del self._open[0]


class BlockNumbers:
    """Numbers the blocks of a stream that does not mark where text and reasoning begin and end."""

    def __init__(self) -> None:
        self._count = 0
        self._running: tuple[type[TextBlock | ReasoningBlock], int] | None = None
        self._thoughts: list[str] = []

    def next(self) -> int:
        """Return the number of a new block."""
        self._count += 1
        return self._count - 1

    def grow(self, block: TextBlock | ReasoningBlock, text: str) -> Iterator[Event]:
        """Yield the events for more text or reasoning. A change between them ends one block and begins another."""
        if self._running is None or self._running[0] is not type(block):
            yield from self.end()
            self._running, self._thoughts = (type(block), self.next()), []
            yield Opened(self._running[1], block)
        if isinstance(block, ReasoningBlock):
            self._thoughts.append(text)
        if text:
            yield Grown(self._running[1], text)

    def sign(self, reasoning: ReasoningBlock) -> Iterator[Event]:
        """Yield the events that add the opaque part to the current reasoning, or to a new block without text."""
        yield from self.grow(ReasoningBlock(origin=reasoning.origin), "")
        if self._running is not None:
            yield Signed(self._running[1], msgspec.structs.replace(reasoning, text="".join(self._thoughts)))
        yield from self.end()

    def end(self) -> Iterator[Event]:
        """Yield the event that ends the current block, if there is one."""
        if self._running is not None:
            yield Closed(self._running[1])
            self._running = None
