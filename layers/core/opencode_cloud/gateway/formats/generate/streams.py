"""Streams of generateContent. Each chunk is an answer of one part or more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ids, sse
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.generate import usage
from opencode_cloud.gateway.formats.generate.answers import NO_REASON, REASONS, function_call, signed, stop_of
from opencode_cloud.gateway.formats.generate.inspection import parts_of
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
from opencode_cloud.gateway.formats.reading import Node, ProtoNode, compact
from opencode_cloud.gateway.formats.sealing import seal
from opencode_cloud.gateway.formats.streaming import BlockNumbers, BlockQueue
from opencode_cloud.gateway.formats.surrogates import decode_event
from opencode_cloud.gateway.formats.usage import merge


class GenerateReader:
    """Reads the stream of an upstream."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.tier = ""
        self.complete = False
        self.fault: UpstreamFault | None = None
        self._blocks = BlockNumbers()
        self._reason = ""
        self._called = False

    def read(self, data: bytes) -> Iterator[Event]:
        """Yield the neutral events of one chunk. :meth:`finish` yields the end: usage can follow the last part."""
        chunk = ProtoNode(decode_event(data))
        if chunk.raw("error"):
            self.fault = fault_of(chunk.value)
            return
        self.tokens = merge(self.tokens, usage.read(chunk.raw("usageMetadata")))
        self.tier = usage.served_tier(chunk) or self.tier
        for candidate in chunk.each("candidates"):
            if candidate.integer("index"):
                continue
            parts = parts_of(candidate.at("content"))
            for part in parts:
                yield from self._part(part)
            reason = candidate.text("finishReason")
            # A reason is no end while text follows: some servers send one in the middle.
            self._reason = reason if reason not in NO_REASON else "" if parts else self._reason
        self._reason = chunk.at("promptFeedback").text("blockReason") or self._reason
        self.complete = bool(self._reason)

    def finish(self) -> Iterator[Event]:
        """Yield the end, if the upstream sent its reason."""
        if self.complete:
            yield from self._blocks.end()
            yield Ended(stop_of(self._reason, called=self._called))

    def _part(self, part: Node) -> Iterator[Event]:
        signature, call = part.text("thoughtSignature"), part.at("functionCall")
        if part.flag("thought"):
            yield from self._blocks.grow(ReasoningBlock(origin=Format.GENERATE), part.text("text"))
        if signature and (call.present() or part.flag("thought")):
            yield from self._blocks.sign(ReasoningBlock(origin=Format.GENERATE, signature=signature))
        if call.present():
            yield from self._call(call)
        elif not part.flag("thought") and (text := part.text("text")):
            yield from self._blocks.grow(TextBlock(""), text)

    def _call(self, call: Node) -> Iterator[Event]:
        yield from self._blocks.end()
        self._called = True
        index = self._blocks.next()
        yield Opened(index, ToolCall(id=call.text("id") or ids.new("call_"), name=call.needed("name")))
        yield Grown(index, compact(call.mapping("args") or {}))
        yield Closed(index)


class GenerateWriter:
    """Writes a stream for a client."""

    sequence = 0

    def __init__(self, parsed: ParsedRequest) -> None:
        self._frame = {"modelVersion": parsed.model, "responseId": ids.new("")}
        self._serial = BlockQueue()
        self._block: TextBlock | ToolCall | ReasoningBlock = TextBlock("")
        self._texts: list[str] = []
        self._reasoning: ReasoningBlock | None = None
        self._signature = ""

    def write(self, event: Event, tokens: Tokens | None) -> bytes:
        """Return the chunks for an event."""
        return b"".join([self._write(step, tokens) for step in self._serial.pass_on(event)])

    def _write(self, event: Event, tokens: Tokens | None) -> bytes:
        match event:
            case Opened(_, block):
                self._block, self._texts, self._reasoning = block, [], None
                return self._unsent() if isinstance(block, ReasoningBlock) else b""
            case Grown(_, text):
                return self._grow(text)
            case Signed(_, reasoning):
                self._reasoning = reasoning
                return b""
            case Closed():
                return self._close()
            case Ended(stop):
                last = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": REASONS[stop]}
                report = {"usageMetadata": usage.write(tokens)} if tokens else {}
                return self._unsent() + self._chunk(last, report)

    def _grow(self, text: str) -> bytes:
        match self._block:
            case TextBlock():
                return self._part({"text": text})
            case ReasoningBlock():
                self._texts.append(text)
                return self._chunk({"content": {"role": "model", "parts": [{"text": text, "thought": True}]}})
            case ToolCall():
                self._texts.append(text)
                return b""

    def _close(self) -> bytes:
        text = "".join(self._texts)
        match self._block:
            case ReasoningBlock() as block:
                self._signature = seal(self._reasoning or msgspec.structs.replace(block, text=text))
                return b""
            case ToolCall() as call:
                return self._part({"functionCall": function_call(msgspec.structs.replace(call, arguments=text))})
            case TextBlock():
                return b""

    def _unsent(self) -> bytes:
        """Return the chunk for a signature that has no following part."""
        return self._part({"text": "", "thought": True}) if self._signature else b""

    def _part(self, part: dict[str, Any]) -> bytes:
        """Return a chunk of one part, with the signature of the reasoning before it: clients send that back with it."""
        part, self._signature = signed(part, self._signature), ""
        return self._chunk({"content": {"role": "model", "parts": [part]}})

    def _chunk(self, candidate: dict[str, Any], more: dict[str, Any] | None = None) -> bytes:
        chunk = {"candidates": [{**candidate, "index": 0}], **(more or {}), **self._frame}
        return sse.unnamed_event(msgspec.json.encode(chunk))
