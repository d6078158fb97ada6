"""Metering of a stream of Responses that passes through unchanged."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.generated import generated_bytes
from opencode_cloud.gateway.formats.metering import StreamMeter, decoder
from opencode_cloud.gateway.formats.reading import size
from opencode_cloud.gateway.formats.responses import usage
from opencode_cloud.gateway.formats.responses.errors import failure_of
from opencode_cloud.gateway.formats.service_tiers import tier_name
from opencode_cloud.kit import json_codec


class _ResponsesEvent(msgspec.Struct):
    type: Any = None
    delta: Any = None
    item: Any = None
    response: msgspec.Raw = msgspec.Raw()


class _ResponsesResponse(msgspec.Struct):
    output: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = msgspec.Raw()


_responses = decoder(_ResponsesEvent)
_response = msgspec.json.Decoder(_ResponsesResponse)
_PROGRESS = (
    *("response.output_", "response.refusal", "response.reasoning", "response.function_call"),
    *("response.custom_tool_call", "response.mcp_call", "response.completed", "response.incomplete"),
)
"""Beginnings of the types of events in which something was generated, or the answer ended."""
_RESPONSES_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def _is_frame(event: _ResponsesEvent) -> bool:
    """Tell whether an event only begins a message, whose text follows. A thought that begins may stay unseen."""
    item: object = event.item
    if event.type != "response.output_item.added" or not isinstance(item, dict):
        return False
    item = cast("dict[str, object]", item)
    return item.get("type") == "message" and not generated_bytes(item)


class ResponsesMeter(StreamMeter):
    """The meter of Responses."""

    def __init__(self) -> None:
        super().__init__(usage.read)
        self._deltas = 0
        self._items = 0

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        if data.strip() == b"[DONE]":
            return False
        event = _responses(data)
        self.sequence += 1
        self.progress += isinstance(event.type, str) and event.type.startswith(_PROGRESS) and not _is_frame(event)
        if isinstance(event.delta, str):
            self._deltas += size(event.delta)
            self.generated = max(self.generated, self._deltas)
        elif event.type == "response.output_item.done":  # some servers send whole items, without deltas
            self._items += generated_bytes(event.item)
            self.generated = max(self.generated, self._items)
        elif event.type in _RESPONSES_ENDS:
            if event.response:
                response = _response.decode(event.response)
                self._count(response.usage)
                self.tier = tier_name(response.service_tier) or self.tier
                self.generated = max(self.generated, generated_bytes(response.output))
            self.complete = self.complete or event.type in _RESPONSES_ENDS[:2]
        if event.type in ("error", "response.failed"):
            self.fault = fault_of(failure_of(json_codec.decode(data, dict[str, Any])))
        return False
