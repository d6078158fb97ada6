"""Metering of a stream of Chat Completions that passes through unchanged."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.gateway.formats.chat import usage
from opencode_cloud.gateway.formats.chat.errors import error_in_choice
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.metering import StreamMeter, decoder
from opencode_cloud.gateway.formats.reading import Node, size
from opencode_cloud.kit import json_codec


class _ChatFunction(msgspec.Struct):
    arguments: Any = None


class _ChatCall(msgspec.Struct):
    function: _ChatFunction | None = None


class _ChatDelta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    reasoning_details: Any = None
    tool_calls: list[_ChatCall] | None = None
    audio: Any = None
    images: Any = None


class _ChatChoice(msgspec.Struct):
    delta: _ChatDelta | None = None
    finish_reason: Any = None
    error: Any = None


class _ChatChunk(msgspec.Struct):
    object: Any = None
    choices: list[_ChatChoice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: Any = None


_chat = decoder(_ChatChunk)


class ChatMeter(StreamMeter):
    """The meter of Chat Completions."""

    def __init__(self) -> None:
        super().__init__(usage.read)

    def read(self, data: bytes) -> bool:
        """Count the data of one event; return True if it has only usage."""
        if data == b"[DONE]" or data.strip() == b"[DONE]":
            self.complete = True
            return False
        chunk = _chat(data)
        if chunk.error or chunk.object == "error":  # the second is an older form of vLLM
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
            return False
        counted = self._count(chunk.usage)
        for choice in chunk.choices or ():
            if choice.error or choice.finish_reason == "error":
                self.fault = error_in_choice(Node(json_codec.decode(data, object)))
                return False
            grew = choice.delta is not None and self._generated(choice.delta)
            # A reason is no end while text follows: some servers send one in the middle.
            self.ending = bool(choice.finish_reason) or (self.ending and not grew)
            self.progress += grew or bool(choice.finish_reason)
        return counted and not chunk.choices

    def _generated(self, delta: _ChatDelta) -> bool:
        """Count what a delta generated; return whether it generated anything."""
        parts = (delta.content, delta.reasoning_content, delta.reasoning, delta.reasoning_details, delta.refusal)
        for text in (delta.content, delta.reasoning_content or delta.reasoning, delta.refusal):
            if text and isinstance(text, str):
                self.generated += size(text)
        for call in delta.tool_calls or ():
            if call.function is not None and isinstance(call.function.arguments, str):
                self.generated += size(call.function.arguments)
        return any((*parts, delta.tool_calls, delta.audio, delta.images))
