"""Streams of Responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ids, sse
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.models import (
    Closed,
    Ended,
    Event,
    Grown,
    Opened,
    ParsedRequest,
    ReasoningBlock,
    Signed,
    Stop,
    TextBlock,
    ToolCall,
    UpstreamFault,
)
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.responses import usage
from opencode_cloud.gateway.formats.responses.answers import finished, frame, read_item, stop_of, write_item
from opencode_cloud.gateway.formats.responses.errors import failure_of
from opencode_cloud.gateway.formats.responses.tools import OfferedTools
from opencode_cloud.gateway.formats.service_tiers import tier_of_answer
from opencode_cloud.gateway.formats.surrogates import decode_event
from opencode_cloud.gateway.formats.usage import merge

_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
    "response.function_call_arguments.delta": "call",
}
_BEGINNINGS = ("response.output_item.added", "response.reasoning_summary_part.added")
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class _Item:
    """An item of the output that is being received; a message's parts are blocks of their own."""

    def __init__(self) -> None:
        self.blocks: dict[int, int] = {}
        self.grown = False


class ResponsesReader:
    """Reads the stream of an upstream."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.tier = ""
        self.complete = False
        self.fault: UpstreamFault | None = None
        self._items: dict[int, _Item] = {}
        self._done: set[int] = set()
        self._count = 0
        self._called = False
        self._refused = False

    def read(self, data: bytes) -> Iterator[Event]:
        """Yield the neutral events of one event of the stream."""
        if data.strip() == b"[DONE]":
            return
        event = Node(decode_event(data))
        kind = event.text("type")
        output = event.integer("output_index") or 0
        if output in self._done and kind in (*_DELTAS, *_BEGINNINGS):
            raise event.at("output_index").wrong("names an item that is done")
        if kind in _DELTAS:
            yield from self._grow(event, _DELTAS[kind], output)
        elif kind == "response.output_item.added":
            yield from self._start(event.at("item"), output)
        elif kind == "response.reasoning_summary_part.added" and self._item(output).grown:
            yield from self._grow_reasoning(output, "\n\n")
        elif kind == "response.output_item.done":
            yield from self._finish_item(event.at("item"), output)
        elif kind in _ENDS:
            yield from self._end(kind, event)
        elif kind == "error":
            self.fault = fault_of(failure_of(event.members()))

    def finish(self) -> Iterator[Event]:
        """Yield no event: only an event of the upstream ends a stream of this format."""
        yield from ()

    def _item(self, output: int) -> _Item:
        return self._items.setdefault(output, _Item())

    def _open(self, output: int, part: int, block: TextBlock | ToolCall | ReasoningBlock) -> Iterator[Event]:
        item = self._item(output)
        if part not in item.blocks:
            item.blocks[part] = self._count
            self._count += 1
            yield Opened(item.blocks[part], block)

    def _start(self, item: Node, output: int) -> Iterator[Event]:
        match item.text("type"):
            case "function_call":
                self._called = True
                call_id = item.text("call_id") or item.text("id") or ids.new("call_")
                yield from self._open(output, 0, ToolCall(id=call_id, name=item.needed("name")))
            case "reasoning":
                yield from self._open(output, 0, ReasoningBlock(origin=Format.RESPONSES))
            case _:
                pass  # a message's text begins with its first delta

    def _grow(self, event: Node, kind: str, output: int) -> Iterator[Event]:
        text = event.text("delta")
        if kind == "reasoning":
            yield from self._grow_reasoning(output, text)
            return
        self._refused = self._refused or kind == "refusal"
        part = 0 if kind == "call" else event.integer("content_index") or 0
        if kind != "call":
            yield from self._open(output, part, TextBlock(""))
        item = self._item(output)
        if part in item.blocks and text:
            item.grown = True
            yield Grown(item.blocks[part], text)

    def _grow_reasoning(self, output: int, text: str) -> Iterator[Event]:
        item = self._item(output)
        if text:
            yield from self._open(output, 0, ReasoningBlock(origin=Format.RESPONSES))
            item.grown = True
            yield Grown(item.blocks[0], text)

    def _finish_item(self, node: Node, output: int) -> Iterator[Event]:
        if output in self._done:
            return
        self._done.add(output)
        item = self._item(output)
        whole = list(read_item(node))
        if not item.grown:
            yield from self._deliver(output, whole)
        for block in whole:
            if isinstance(block, ReasoningBlock) and block.signature:
                yield from self._open(output, 0, ReasoningBlock(origin=Format.RESPONSES))
                yield Signed(item.blocks[0], block)
        for index in item.blocks.values():
            yield Closed(index)

    def _deliver(self, output: int, whole: list[TextBlock | ToolCall | ReasoningBlock]) -> Iterator[Event]:
        """Yield an item's content where the upstream streamed none of it."""
        for part, block in enumerate(whole):
            match block:
                case TextBlock(text):
                    empty: TextBlock | ToolCall | ReasoningBlock = TextBlock("")
                case ToolCall(arguments=text):
                    self._called = True
                    empty = msgspec.structs.replace(block, arguments="")
                case ReasoningBlock(text=text):
                    empty = ReasoningBlock(origin=Format.RESPONSES)
            yield from self._open(output, part, empty)
            if text:
                yield Grown(self._item(output).blocks[part], text)

    def _end(self, kind: str, event: Node) -> Iterator[Event]:
        response = event.at("response")
        self.tokens = merge(self.tokens, usage.read(response.raw("usage")))
        self.tier = tier_of_answer(response) or self.tier
        if kind == "response.failed":
            self.fault = fault_of(failure_of(event.members()))
            return
        if self.complete:
            return
        self.complete = True
        for output, item in enumerate(response.each("output")):
            yield from self._finish_item(item, output)
        for output, item in self._items.items():
            if output not in self._done:
                for index in item.blocks.values():
                    yield Closed(index)
        reason = response.at("incomplete_details").text("reason")
        status = kind.removeprefix("response.")
        yield Ended(stop_of(status, reason, called=self._called, refused=self._refused))


class _Open:
    """An item that is being sent."""

    def __init__(self, block: TextBlock | ToolCall | ReasoningBlock, output: int) -> None:
        self.block = block
        self.output = output
        prefix = {TextBlock: "msg_", ToolCall: "fc_", ReasoningBlock: "rs_"}[type(block)]
        self.id = ids.new(prefix)
        self.texts: list[str] = []
        self.reasoning: ReasoningBlock | None = None
        self.begun = False

    @property
    def location(self) -> dict[str, Any]:
        """Return the members that name the item of an event."""
        return {"item_id": self.id, "output_index": self.output}

    def whole(self) -> TextBlock | ToolCall | ReasoningBlock:
        """Return the finished block."""
        text = "".join(self.texts)
        match self.block:
            case TextBlock():
                return TextBlock(text)
            case ToolCall():
                return msgspec.structs.replace(self.block, arguments=text)
            case ReasoningBlock():
                return self.reasoning or msgspec.structs.replace(self.block, text=text)


class ResponsesWriter:
    """Writes a stream for a client."""

    def __init__(self, parsed: ParsedRequest) -> None:
        self.sequence = 0
        self._frame = frame(parsed.document, parsed.model)
        self._tools = OfferedTools(parsed.document)
        self._open: dict[int, _Open] = {}
        self._output: dict[int, dict[str, Any]] = {}
        self._count = 0
        self._begun = False

    def write(self, event: Event, tokens: Tokens | None) -> bytes:
        """Return the events for an event."""
        begin = b""
        if not self._begun:
            self._begun = True
            begin = self._event("response.created", response=self._frame)
            begin += self._event("response.in_progress", response=self._frame)
        return begin + b"".join(self._write(event, tokens))

    def _write(self, event: Event, tokens: Tokens | None) -> Iterator[bytes]:
        match event:
            case Opened(index, block):
                self._open[index] = _Open(block, -1)
                if not isinstance(block, TextBlock):  # it becomes an item only if text follows
                    yield self._start(self._open[index])
            case Grown(index, text):
                yield from self._grow(self._open[index], text)
            case Signed(index, reasoning):
                self._open[index].reasoning = reasoning
            case Closed(index):
                item = self._open.pop(index)
                if item.output >= 0:
                    yield from self._close(item)
            case Ended(stop):
                yield self._end(stop, tokens)

    def _start(self, item: _Open) -> bytes:
        item.output = self._count
        self._count += 1
        begun = write_item(item.block, self._tools, item.id)
        if isinstance(item.block, TextBlock):
            begun = {**begun, "status": "in_progress", "content": list[str]()}
        elif isinstance(item.block, ToolCall):
            begun = {**begun, "status": "in_progress", "input" if "input" in begun else "arguments": ""}
        else:
            begun = {"type": "reasoning", "id": item.id, "summary": list[str]()}
        return self._event("response.output_item.added", output_index=item.output, item=begun)

    def _grow(self, item: _Open, text: str) -> Iterator[bytes]:
        if item.output < 0:
            yield self._start(item)
        match item.block:
            case TextBlock():
                if not item.begun:
                    part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
                    yield self._event("response.content_part.added", **item.location, content_index=0, part=part)
                location = {**item.location, "content_index": 0}
                yield self._event("response.output_text.delta", **location, delta=text, logprobs=[])
            case ReasoningBlock():
                location = {**item.location, "summary_index": 0}
                if not item.begun:
                    part = {"type": "summary_text", "text": ""}
                    yield self._event("response.reasoning_summary_part.added", **location, part=part)
                yield self._event("response.reasoning_summary_text.delta", **location, delta=text)
            case ToolCall(name=name):
                if not self._tools.is_custom(name):  # free text is within the arguments, so it follows at their end
                    yield self._event("response.function_call_arguments.delta", **item.location, delta=text)
        item.begun = True
        item.texts.append(text)

    def _close(self, item: _Open) -> Iterator[bytes]:
        block = item.whole()
        done = write_item(block, self._tools, item.id)
        match block:
            case TextBlock(text) if item.begun:
                location = {**item.location, "content_index": 0}
                yield self._event("response.output_text.done", **location, text=text, logprobs=[])
                yield self._event("response.content_part.done", **location, part=done["content"][0])
            case ReasoningBlock() if item.begun:
                location = {**item.location, "summary_index": 0}
                text = "".join(item.texts)
                part = {"type": "summary_text", "text": text}
                yield self._event("response.reasoning_summary_text.done", **location, text=text)
                yield self._event("response.reasoning_summary_part.done", **location, part=part)
                done = {**done, "summary": [part]}
            case ToolCall() if "input" in done:
                text = done["input"]
                yield self._event("response.custom_tool_call_input.delta", **item.location, delta=text)
                yield self._event("response.custom_tool_call_input.done", **item.location, input=text)
            case ToolCall():
                call = {"name": done["name"], "arguments": done["arguments"]}
                yield self._event("response.function_call_arguments.done", **item.location, **call)
            case _:
                pass
        self._output[item.output] = done
        yield self._event("response.output_item.done", output_index=item.output, item=done)

    def _end(self, stop: Stop, tokens: Tokens | None) -> bytes:
        output = [item for _, item in sorted(self._output.items())]
        answer = finished(self._frame, output, stop, tokens)
        return self._event(f"response.{answer['status']}", response=answer)

    def _event(self, kind: str, **members: Any) -> bytes:
        event = {"type": kind, "sequence_number": self.sequence, **members}
        self.sequence += 1
        return sse.event(kind, msgspec.json.encode(event))
