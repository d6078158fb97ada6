"""Metering of a stream of Chat Completions that passes through unchanged."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.chat import usage
from opencode_cloud.gateway.formats.chat.errors import error_in_choice, is_failure
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.generated import generated_bytes
from opencode_cloud.gateway.formats.metering import StreamMeter, decoder
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_name
from opencode_cloud.kit import json_codec


class _ChatChoice(msgspec.Struct):
    delta: Any = None
    message: Any = None
    text: Any = None
    finish_reason: Any = None
    error: Any = None


class _ChatChunk(msgspec.Struct):
    object: Any = None
    service_tier: Any = None
    choices: list[_ChatChoice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: Any = None


_chat = decoder(_ChatChunk)
_WORDLESS = ("tool_calls", "function_call", "audio", "images", "reasoning_details")
"""Members by which an answer has begun, even if they have no text."""


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
        self.tier = tier_name(chunk.service_tier) or self.tier
        for choice in chunk.choices or ():
            if choice.error or is_failure(choice.finish_reason):
                self.fault = error_in_choice(Node(json_codec.decode(data, object)))
                return False
            grew = self._grew(choice)
            # A reason is no end while text follows: some servers send one in the middle.
            self.ending = bool(choice.finish_reason) or (self.ending and not grew)
            self.progress += grew or bool(choice.finish_reason)
        return counted and not chunk.choices

    def _grew(self, choice: _ChatChoice) -> bool:
        """Count what a choice generated; return whether it generated anything."""
        # Servers that send a whole message beside each delta repeat in it all text so far.
        part = choice.delta or choice.message
        generated = generated_bytes(part) + generated_bytes(choice.text)
        self.generated += generated
        return generated > 0 or (isinstance(part, dict) and any(map(cast("dict[str, Any]", part).get, _WORDLESS)))
