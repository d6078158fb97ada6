"""Changes of an answer that make up for an upstream's limits: names, stop sequences, one call at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opencode_cloud.gateway.formats.models import (
    Closed,
    Emulation,
    Ended,
    Event,
    Grown,
    ModelReply,
    Opened,
    ReasoningBlock,
    Stop,
    TextBlock,
    ToolCall,
)


class Emulator:
    """Changes one answer, streamed or whole."""

    def __init__(self, emulation: Emulation) -> None:
        self._emulation = emulation
        self._open: dict[int, TextBlock | ToolCall | ReasoningBlock] = {}
        self._held: dict[int, str] = {}
        self._skipped: set[int] = set()
        self._grown: set[int] = set()
        self._called = False
        self.stopped = False
        """True once a stop sequence of the gateway has ended the answer."""

    def note_growth(self, index: int) -> None:
        """Note that a block has grown by an event that needed no change."""
        self._grown.add(index)

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events for the client. No event follows a stop sequence."""
        for event in events:
            if self.stopped:
                return
            yield from self._event(event)

    def reply(self, reply: ModelReply) -> ModelReply:
        """Return a whole answer for the client."""
        blocks: list[TextBlock | ToolCall | ReasoningBlock] = []
        for block in reply.blocks:
            if isinstance(block, ToolCall):
                if self._is_extra():
                    continue
                blocks.append(self._named(block))
            elif isinstance(block, TextBlock) and (found := self._found(block.text)):
                position, stop = found
                blocks.append(msgspec.structs.replace(block, text=block.text[:position]))
                return msgspec.structs.replace(reply, blocks=tuple(blocks), stop=Stop.SEQUENCE, stop_sequence=stop)
            else:
                blocks.append(block)
        return msgspec.structs.replace(reply, blocks=tuple(blocks))

    def _event(self, event: Event) -> Iterator[Event]:
        if isinstance(event, Ended):
            yield event
        elif isinstance(event, Opened):
            yield from self._begin(event)
        elif event.index in self._skipped:
            return
        elif isinstance(event, Grown) and self._emulation.stops and isinstance(self._open[event.index], TextBlock):
            yield from self._grow(event)
        elif isinstance(event, Closed):
            yield from self._close(event)
        else:
            self._grown.add(event.index)
            yield event

    def _close(self, event: Closed) -> Iterator[Event]:
        block = self._open.pop(event.index, None)
        if held := self._held.pop(event.index, ""):
            yield Grown(event.index, held)
        elif isinstance(block, ToolCall) and event.index not in self._grown:
            yield Grown(event.index, "{}")  # an empty text is no JSON, and clients parse it
        yield event

    def _begin(self, event: Opened) -> Iterator[Event]:
        block = event.block
        if isinstance(block, ToolCall):
            if self._is_extra():
                self._skipped.add(event.index)
                return
            block = self._named(block)
        self._open[event.index] = block
        yield Opened(event.index, block)

    def _grow(self, event: Grown) -> Iterator[Event]:
        text = self._held.pop(event.index, "") + event.text
        if found := self._found(text):
            position, stop = found
            if position:
                yield Grown(event.index, text[:position])
            for index in self._open:
                yield Closed(index)
            self.stopped = True
            yield Ended(Stop.SEQUENCE, stop)
            return
        held = self._beginning(text)
        if held:
            self._held[event.index] = text[len(text) - held :]
        if passed := text[: len(text) - held]:
            yield Grown(event.index, passed)

    def _found(self, text: str) -> tuple[int, str] | None:
        """Return the place of the first stop sequence, and the sequence."""
        places = [(place, stop) for stop in self._emulation.stops if (place := text.find(stop)) >= 0]
        return min(places, default=None)

    def _beginning(self, text: str) -> int:
        """Return the length of the longest end of a text that can be the beginning of a stop sequence."""
        longest = max(map(len, self._emulation.stops)) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._emulation.stops):
                return length
        return 0

    def _is_extra(self) -> bool:
        extra, self._called = self._called and self._emulation.one_call, True
        return extra

    def _named(self, call: ToolCall) -> ToolCall:
        given = self._emulation.names.get(call.name)
        return call if given is None else msgspec.structs.replace(call, name=given)
