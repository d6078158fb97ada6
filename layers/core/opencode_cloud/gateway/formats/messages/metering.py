"""Metering of a stream of Messages that passes through unchanged."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.generated import generated_bytes
from opencode_cloud.gateway.formats.messages import usage
from opencode_cloud.gateway.formats.metering import StreamMeter, decoder
from opencode_cloud.kit import json_codec


class _MessagesDelta(msgspec.Struct):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    signature: Any = None
    stop_reason: Any = None


class _MessagesMessage(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()


class _MessagesEvent(msgspec.Struct):
    type: Any = None
    delta: _MessagesDelta | None = None
    content_block: Any = None
    message: _MessagesMessage | None = None
    usage: msgspec.Raw = msgspec.Raw()


_ENDS = ("message_delta", "message_stop")
_messages = decoder(_MessagesEvent)


def _signed(event: _MessagesEvent) -> bool:
    return event.delta is not None and bool(event.delta.signature)


def _begins(block: object) -> bool:
    """Tell whether an answer has begun with a block: an empty one of text is only the frame of what follows.

    A model that thinks unseen may send nothing for minutes after the beginning of its thought.
    """
    return isinstance(block, dict) and cast("dict[str, object]", block).get("type") != "text"


class MessagesMeter(StreamMeter):
    """The meter of Messages."""

    def __init__(self) -> None:
        super().__init__(usage.read, usage.tier_in)

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        event = _messages(data)
        generated = 0
        if event.delta is not None:
            delta = event.delta
            generated = sum(map(generated_bytes, (delta.text, delta.thinking, delta.partial_json)))
            self.ending = bool(delta.stop_reason) or (self.ending and not generated)
        if event.content_block is not None:  # compatible servers begin a block with its whole text
            generated += generated_bytes(event.content_block)
        self.generated += generated
        self.progress += generated > 0 or event.type in _ENDS or _signed(event) or _begins(event.content_block)
        if event.message is not None:
            self._count(event.message.usage)
        self._count(event.usage)
        self.complete = self.complete or event.type == "message_stop"
        if event.type == "error":
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
        return False
