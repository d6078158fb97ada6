"""Streams of Chat Completions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ids, sse
from opencode_cloud.gateway.formats.chat import usage
from opencode_cloud.gateway.formats.chat.answers import FINISH, calls_in, read_arguments, read_content, stop_of
from opencode_cloud.gateway.formats.chat.errors import error_in
from opencode_cloud.gateway.formats.chat.reasoning import detail_of, read_call_signature, thought_in
from opencode_cloud.gateway.formats.custom import custom_input, custom_names
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
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_of_answer
from opencode_cloud.gateway.formats.streaming import BlockNumbers
from opencode_cloud.gateway.formats.surrogates import decode_event
from opencode_cloud.gateway.formats.usage import merge

_DONE = b"[DONE]"
_CONTENT = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "audio")


class _Call:
    """A tool call that is being received; it begins when its name is known."""

    def __init__(self, index: int, given: str) -> None:
        self.index = index
        self.id = given or ids.new("call_")
        self.named = False
        self.early = ""


class ChatReader:
    """Reads the stream of an upstream."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.tier = ""
        self.complete = False
        self.fault: UpstreamFault | None = None
        self._blocks = BlockNumbers()
        self._calls: dict[int, _Call] = {}
        self._begun: list[_Call] = []
        self._finish = ""
        self._refused = False

    def read(self, data: bytes) -> Iterator[Event]:
        """Yield the neutral events of one event of the stream."""
        if data.strip() == _DONE:
            yield from self._end()
            return
        chunk = Node(decode_event(data))
        if (fault := error_in(chunk)) is not None:
            self.fault = fault
            return
        self.tokens = merge(self.tokens, usage.read(chunk.raw("usage")))
        self.tier = tier_of_answer(chunk) or self.tier
        for choice in chunk.each("choices"):
            if not choice.integer("index"):
                yield from self._choice(choice)

    def finish(self) -> Iterator[Event]:
        """Yield the end, if the upstream sent the reason of the end without the mark after it."""
        if self._finish and not self.complete:
            yield from self._end()

    def _choice(self, choice: Node) -> Iterator[Event]:
        delta = choice.at("delta")
        if thought := thought_in(delta):
            yield from self._blocks.grow(ReasoningBlock(origin=Format.CHAT), thought)
        if isinstance(text := delta.raw("content"), str):
            if text:
                yield from self._blocks.grow(TextBlock(""), text)
        else:
            for block in read_content(delta):
                yield from self._blocks.grow(msgspec.structs.replace(block, text=""), block.text)
        if refusal := delta.text("refusal"):
            self._refused = True
            yield from self._blocks.grow(TextBlock(""), refusal)
        if transcript := delta.at("audio").text("transcript"):
            yield from self._blocks.grow(TextBlock(""), transcript)
        for call in calls_in(delta):
            yield from self._call(call)
        if reason := choice.text("finish_reason"):
            self._finish = reason
        elif self._finish and any(delta.raw(name) for name in _CONTENT):
            self._finish = ""  # a reason is no end while text follows: some servers send one in the middle

    def _call(self, delta: Node) -> Iterator[Event]:
        given, function = delta.text("id"), delta.at("function")
        name, text = function.text("name"), read_arguments(function)
        position = delta.integer("index")
        if position is None:
            position = len(self._begun) if given or name else len(self._begun) - 1
        call = self._calls.get(position)
        # Some servers number all calls 0 and tell them apart by their ids.
        if call is None or (given and name and given != call.id):
            yield from self._blocks.end()
            if (signature := read_call_signature(delta)) is not None:
                yield from self._blocks.sign(signature)
            call = self._calls[position] = _Call(self._blocks.next(), given)
            self._begun.append(call)
        if name and not call.named:
            call.named = True
            yield Opened(call.index, ToolCall(id=call.id, name=name))
            text = call.early + text
        if not call.named:
            call.early += text
        elif text:
            yield Grown(call.index, text)

    def _end(self) -> Iterator[Event]:
        if self.complete:
            return
        self.complete = True
        yield from self._blocks.end()
        called = [call for call in self._begun if call.named]
        for call in called:
            yield Closed(call.index)
        yield Ended(stop_of(self._finish, called=bool(called), refused=self._refused))


class ChatWriter:
    """Writes a stream for a client."""

    sequence = 0

    def __init__(self, parsed: ParsedRequest) -> None:
        self._usage = parsed.usage_wanted
        self._custom = custom_names(parsed.document)
        self._texts: dict[int, list[str]] = {}
        self._frame = {
            "id": ids.new("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": parsed.model,
        }
        self._begun = False
        self._kinds: dict[int, TextBlock | ToolCall | ReasoningBlock] = {}
        self._calls: dict[int, int] = {}
        self._signature = ""

    def write(self, event: Event, tokens: Tokens | None) -> bytes:
        """Return the chunks for an event."""
        begin = b""
        if not self._begun:
            self._begun = True
            begin = self._chunk({"role": "assistant", "content": ""})
        return begin + self._write(event, tokens)

    def _write(self, event: Event, tokens: Tokens | None) -> bytes:
        match event:
            case Opened(index, block):
                self._kinds[index] = block
                return self._open(index, block) if isinstance(block, ToolCall) else b""
            case Grown(index, text) if index in self._texts:
                self._texts[index].append(text)
                return b""
            case Grown(index, text):
                return self._chunk(self._delta(index, text))
            case Closed(index) if index in self._texts:
                custom = {"input": custom_input("".join(self._texts.pop(index)))}
                return self._chunk({"tool_calls": [{"index": self._calls[index], "custom": custom}]})
            case Signed(_, reasoning):
                if reasoning.origin == Format.GENERATE:
                    self._signature = reasoning.signature
                    return b""
                return self._chunk({"reasoning_details": [detail_of(reasoning)]})
            case Closed():
                return b""
            case Ended(stop):
                return self._end(FINISH[stop], tokens)

    def _open(self, index: int, call: ToolCall) -> bytes:
        position = self._calls[index] = len(self._calls)
        members: dict[str, Any] = {"index": position, "id": call.id}
        if call.name in self._custom:
            self._texts[index] = []
            members |= {"type": "custom", "custom": {"name": call.name, "input": ""}}
        else:
            members |= {"type": "function", "function": {"name": call.name, "arguments": ""}}
        if self._signature:
            members["extra_content"] = {"google": {"thought_signature": self._signature}}
            self._signature = ""
        return self._chunk({"tool_calls": [members]})

    def _delta(self, index: int, text: str) -> dict[str, Any]:
        match self._kinds[index]:
            case TextBlock():
                return {"content": text}
            case ReasoningBlock():
                return {"reasoning_content": text}
            case ToolCall():
                return {"tool_calls": [{"index": self._calls[index], "function": {"arguments": text}}]}

    def _end(self, finish: str, tokens: Tokens | None) -> bytes:
        last = self._chunk({}, finish)
        report = b""
        if self._usage and tokens is not None:
            chunk: dict[str, Any] = {**self._frame, "choices": [], "usage": usage.write(tokens)}
            report = sse.unnamed_event(msgspec.json.encode(chunk))
        return last + report + sse.unnamed_event(_DONE)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse.unnamed_event(msgspec.json.encode({**self._frame, "choices": [choice]}))
