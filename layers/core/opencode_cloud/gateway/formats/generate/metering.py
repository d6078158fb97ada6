"""Metering of a stream of generateContent that passes through unchanged."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.generate import usage
from opencode_cloud.gateway.formats.generate.answers import NO_REASON
from opencode_cloud.gateway.formats.generated import generated_bytes
from opencode_cloud.gateway.formats.metering import StreamMeter, decoder
from opencode_cloud.kit import json_codec


class _Content(msgspec.Struct):
    parts: list[Any] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finishReason: Any = None  # noqa: N815 - Google's name


class _Feedback(msgspec.Struct):
    blockReason: Any = None  # noqa: N815 - Google's name


class _GenerateChunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: msgspec.Raw = msgspec.Raw()  # noqa: N815 - Google's name
    promptFeedback: _Feedback | None = None  # noqa: N815 - Google's name
    error: Any = None


_generate = decoder(_GenerateChunk)


class GenerateMeter(StreamMeter):
    """The meter of generateContent. The last chunk has the reason of the end."""

    def __init__(self) -> None:
        super().__init__(usage.read)

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        chunk = _generate(data)
        if chunk.error:
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
        self._count(chunk.usageMetadata)
        for candidate in chunk.candidates or ():
            ended = candidate.finishReason not in NO_REASON
            parts = (candidate.content.parts if candidate.content else None) or []
            # A reason is no end while text follows: some servers send one in the middle.
            self.complete = ended or (self.complete and not parts)
            self.progress += ended or bool(parts)
            self.generated += generated_bytes(parts)
        if chunk.promptFeedback is not None and chunk.promptFeedback.blockReason:
            self.complete = True
            self.progress += 1
        return False

    def _tier_in(self, report: object) -> str:
        return usage.tier_in(report)
