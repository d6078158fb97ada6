"""Metering of a stream of generateContent that passes through unchanged."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.generate import usage
from opencode_cloud.gateway.formats.generate.answers import NO_REASON
from opencode_cloud.gateway.formats.generated import generated_bytes
from opencode_cloud.gateway.formats.metering import StreamMeter, decoder
from opencode_cloud.kit import json_codec


class _Content(msgspec.Struct):
    parts: list[Any] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: Any = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: Any = None


class _GenerateChunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()
    prompt_feedback: _Feedback | None = None
    error: Any = None


_generate = decoder(_GenerateChunk)


def _begins(part: object) -> bool:
    """Tell whether something was generated with a part. An empty text is only the frame of what follows."""
    if not isinstance(part, dict):
        return False
    members = cast("dict[str, Any]", part)
    return generated_bytes(members) > 0 or members.keys() != {"text"}


class GenerateMeter(StreamMeter):
    """The meter of generateContent. The last chunk has the reason of the end."""

    def __init__(self) -> None:
        super().__init__(usage.read, usage.tier_in)

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        chunk = _generate(data)
        if chunk.error:
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
        self._count(chunk.usage_metadata)
        for candidate in chunk.candidates or ():
            ended = candidate.finish_reason not in NO_REASON
            parts = (candidate.content.parts if candidate.content else None) or []
            # A reason is no end while text follows: some servers send one in the middle.
            self.complete = ended or (self.complete and not parts)
            self.progress += ended or any(map(_begins, parts))
            self.generated += generated_bytes(parts)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self.complete = True
            self.progress += 1
        return False
