"""A stream as the whole answer that its client asked for: some servers stream always."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.models import (
    Ended,
    Event,
    Grown,
    ModelReply,
    Opened,
    ReasoningBlock,
    Signed,
    Stop,
    TextBlock,
    ToolCall,
    UpstreamGarbage,
)
from opencode_cloud.gateway.formats.sse import Splitter
from opencode_cloud.gateway.formats.streaming import StreamReader
from opencode_cloud.gateway.formats.surrogates import WholeCharacters


class _Collected:
    """The blocks of a stream so far."""

    def __init__(self) -> None:
        self._blocks: dict[int, TextBlock | ToolCall | ReasoningBlock] = {}
        self._texts: dict[int, list[str]] = {}
        self.ended: Ended | None = None

    def take(self, events: Iterable[Event]) -> None:
        """Add events."""
        for event in events:
            match event:
                case Opened(index, block):
                    self._blocks[index], self._texts[index] = block, []
                case Grown(index, text):
                    self._texts[index].append(text)
                case Signed(index, reasoning):
                    self._blocks[index], self._texts[index] = reasoning, [reasoning.text]
                case Ended():
                    self.ended = event
                case _:
                    pass

    def blocks(self) -> tuple[TextBlock | ToolCall | ReasoningBlock, ...]:
        """Return the whole blocks, in their order."""
        return tuple(_whole(self._blocks[index], "".join(self._texts[index])) for index in sorted(self._blocks))


def collected(reader: StreamReader, body: bytes) -> ModelReply:
    """Return the answer of a whole stream. Raises :class:`UpstreamGarbage` for an error in it, or without its end."""
    splitter, found, characters = Splitter(), _Collected(), WholeCharacters()
    for event in (*splitter.feed(body), splitter.rest()):
        if (data := sse.data_of(event)) is not None and reader.fault is None:
            found.take(characters.events(reader.read(data)))
    if reader.fault is not None:
        raise UpstreamGarbage(reader.fault.message or "An error instead of an answer.", reader.fault)
    found.take(characters.events(reader.finish()))
    if found.ended is None:
        raise UpstreamGarbage("The stream ended in the middle.")
    stop, sequence = found.ended.stop, found.ended.stop_sequence
    return ModelReply(blocks=found.blocks(), stop=Stop(stop), stop_sequence=sequence, tokens=reader.tokens)


def _whole(block: TextBlock | ToolCall | ReasoningBlock, text: str) -> TextBlock | ToolCall | ReasoningBlock:
    if isinstance(block, ToolCall):
        return msgspec.structs.replace(block, arguments=text)
    return msgspec.structs.replace(block, text=text)
