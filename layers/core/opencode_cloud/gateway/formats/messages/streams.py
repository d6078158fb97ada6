"""Streams of Messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ids, sse
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.messages import usage
from opencode_cloud.gateway.formats.messages.answers import EMPTY_USAGE, REASONS, stop_of
from opencode_cloud.gateway.formats.models import (
    Closed,
    Ended,
    Event,
    Grown,
    Opened,
    ParsedRequest,
    ReasoningBlock,
    Signed,
    TextBlock,
    ToolCall,
    UpstreamFault,
)
from opencode_cloud.gateway.formats.reading import Node, compact
from opencode_cloud.gateway.formats.sealing import seal
from opencode_cloud.gateway.formats.streaming import BlockQueue
from opencode_cloud.gateway.formats.surrogates import decode_event
from opencode_cloud.gateway.formats.usage import merge

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class _Block:
    """A block that is being received."""

    def __init__(self, start: Node) -> None:
        self.start = start
        self.kind = start.text("type")
        self.grown = False
        self.thoughts: list[str] = []
        self.signature = start.text("signature") or start.text("data")

    def opened(self) -> TextBlock | ToolCall | ReasoningBlock | None:
        """Return the first event of the block; None for a kind of block that conversions never request."""
        match self.kind:
            case "text":
                return TextBlock("")
            case "tool_use":
                return ToolCall(id=self.start.text("id") or ids.new("toolu_"), name=self.start.needed("name"))
            case "thinking" | "redacted_thinking":
                return ReasoningBlock(origin=Format.MESSAGES, redacted=self.kind == "redacted_thinking")
            case _:
                return None

    def initial(self) -> str:
        """Return the text in the block's first event."""
        return self.start.text("text") if self.kind == "text" else self.start.text("thinking")


class MessagesReader:
    """Reads the stream of an upstream."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.tier = ""
        self.complete = False
        self.fault: UpstreamFault | None = None
        self._open: dict[int, _Block] = {}
        self._reason = ""
        self._sequence = ""

    def read(self, data: bytes) -> Iterator[Event]:
        """Yield the neutral events of one event of the stream."""
        event = Node(decode_event(data))
        match event.text("type"):
            case "content_block_delta":
                yield from self._grow(event)
            case "content_block_start":
                yield from self._start(event)
            case "content_block_stop":
                yield from self._stop(event.integer("index") or 0)
            case "message_start":
                self._count(event.at("message").raw("usage"))
            case "message_delta":
                self._count(event.raw("usage"))
                delta = event.at("delta")
                self._reason = delta.text("stop_reason") or self._reason
                self._sequence = delta.text("stop_sequence") or self._sequence
            case "message_stop":
                yield from self._end()
            case "error":
                self.fault = fault_of(event.value)
            case _:
                pass  # pings, and events of later versions

    def finish(self) -> Iterator[Event]:
        """Yield the end, if the upstream sent the reason of the end without the last event."""
        if self._reason and not self.complete:
            yield from self._end()

    def _count(self, report: object) -> None:
        self.tokens = merge(self.tokens, usage.read(report))
        self.tier = usage.tier_in(report) or self.tier

    def _start(self, event: Node) -> Iterator[Event]:
        index = event.integer("index") or 0
        block = _Block(event.at("content_block"))
        opened = block.opened()
        if opened is None:
            return
        yield from self._stop(index)
        self._open[index] = block
        yield Opened(index, opened)
        if text := block.initial():
            yield self._grown(index, block, text)

    def _grow(self, event: Node) -> Iterator[Event]:
        index, delta = event.integer("index") or 0, event.at("delta")
        block = self._open.get(index)
        if block is None:
            return
        kind = delta.text("type")
        if kind == "signature_delta":
            block.signature += delta.text("signature")
        elif kind in _DELTAS and (text := delta.text(_DELTAS[kind])):
            yield self._grown(index, block, text)

    @staticmethod
    def _grown(index: int, block: _Block, text: str) -> Event:
        block.grown = True
        if block.kind == "thinking":
            block.thoughts.append(text)
        return Grown(index, text)

    def _stop(self, index: int) -> Iterator[Event]:
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.kind == "tool_use" and not block.grown and (given := block.start.mapping("input")):
            yield Grown(index, compact(given))
        if block.signature:
            text, redacted = "".join(block.thoughts), block.kind == "redacted_thinking"
            signed = ReasoningBlock(text=text, origin=Format.MESSAGES, signature=block.signature, redacted=redacted)
            yield Signed(index, signed)
        yield Closed(index)

    def _end(self) -> Iterator[Event]:
        if self.complete:
            return
        self.complete = True
        for index in list(self._open):
            yield from self._stop(index)
        yield Ended(stop_of(self._reason), self._sequence)


class MessagesWriter:
    """Writes a stream for a client."""

    sequence = 0

    def __init__(self, parsed: ParsedRequest) -> None:
        self._model = parsed.model
        self._serial = BlockQueue()
        self._begun = False
        self._count = 0
        self._block: TextBlock | ToolCall | ReasoningBlock | None = None
        self._pending = False
        self._thoughts: list[str] = []
        self._signed = False

    def write(self, event: Event, tokens: Tokens | None) -> bytes:
        """Return the events for an event."""
        begin = b"" if self._begun else self._begin(tokens)
        self._begun = True
        return begin + b"".join([self._write(step, tokens) for step in self._serial.pass_on(event)])

    def _begin(self, tokens: Tokens | None) -> bytes:
        message: dict[str, Any] = {
            "id": ids.new("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage.write(tokens) if tokens else EMPTY_USAGE,
        }
        return _event({"type": "message_start", "message": message})

    def _write(self, event: Event, tokens: Tokens | None) -> bytes:
        match event:
            case Opened(_, block):
                # A block of text begins with its first text: clients send empty ones back, and Anthropic refuses these.
                self._block, self._pending = block, isinstance(block, TextBlock)
                self._thoughts, self._signed = [], False
                return b"" if self._pending else self._start(block)
            case Grown(_, text):
                return self._grow(text)
            case Signed(_, reasoning):
                return self._sign(reasoning)
            case Closed():
                return self._close()
            case Ended(stop, sequence):
                return self._end(REASONS[stop], sequence, tokens)

    def _start(self, block: TextBlock | ToolCall | ReasoningBlock) -> bytes:
        match block:
            case TextBlock():
                content: dict[str, Any] = {"type": "text", "text": ""}
            case ToolCall():
                content = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
            case ReasoningBlock():
                content = {"type": "thinking", "thinking": "", "signature": ""}
        return _event({"type": "content_block_start", "index": self._count, "content_block": content})

    def _grow(self, text: str) -> bytes:
        match self._block:
            case ToolCall():
                return self._delta({"type": "input_json_delta", "partial_json": text})
            case ReasoningBlock():
                self._thoughts.append(text)
                return self._delta({"type": "thinking_delta", "thinking": text})
            case _:
                start = self._start(TextBlock("")) if self._pending else b""
                self._pending = False
                return start + self._delta({"type": "text_delta", "text": text})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event({"type": "content_block_delta", "index": self._count, "delta": delta})

    def _sign(self, reasoning: ReasoningBlock) -> bytes:
        self._signed = True
        return self._delta({"type": "signature_delta", "signature": seal(reasoning)})

    def _close(self) -> bytes:
        if self._pending:
            self._pending = False
            return b""
        signature = b""
        # Unsigned reasoning goes back too: some upstreams require their reasoning in the next request.
        if isinstance(self._block, ReasoningBlock) and not self._signed:
            signature = self._sign(msgspec.structs.replace(self._block, text="".join(self._thoughts)))
        stop = _event({"type": "content_block_stop", "index": self._count})
        self._count += 1
        return signature + stop

    def _end(self, reason: str, sequence: str, tokens: Tokens | None) -> bytes:
        delta = {"stop_reason": reason, "stop_sequence": sequence or None}
        report = usage.write(tokens) if tokens else {"output_tokens": 0}
        return _event({"type": "message_delta", "delta": delta, "usage": report}) + _event({"type": "message_stop"})


def _event(members: dict[str, Any]) -> bytes:
    return sse.event(members["type"], msgspec.json.encode(members))
