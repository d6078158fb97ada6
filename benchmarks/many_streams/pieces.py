"""The pieces of a stream: the time of sending stands in the text of each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

MODEL = "scripted"
END = b"data: [DONE]\n\n"
_STAMP = re.compile(rb"<(\d{20})>")
_STAMP_BYTES = 22
_FRAME = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of the load."""

    streams: int = 512
    pieces: int = 64
    pause: float = 0.02
    """Seconds between two pieces of a stream."""
    spread: float = 0.2
    """Seconds over which the streams begin, in which no two have the same rhythm."""
    stall_ms: float = 100.0
    """A piece that arrives later than this counts as a stall."""


def _event(choices: list[object], **members: object) -> bytes:
    return b"data: " + json.dumps({**_FRAME, "choices": choices, **members}).encode() + b"\n\n"


_BEFORE, _AFTER = _event([{"index": 0, "delta": {"content": "<> word"}, "finish_reason": None}]).split(b"<>")


def piece(now: int) -> bytes:
    """Return the event of one piece that is sent ``now`` (nanoseconds of the monotonic clock)."""
    return b"%b<%020d>%b" % (_BEFORE, now, _AFTER)


def ending(pieces: int) -> bytes:
    """Return the events after the last piece: reason, usage, end."""
    usage = {"prompt_tokens": 20, "completion_tokens": pieces, "total_tokens": pieces + 20}
    reason = _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    return reason + _event([], usage=usage) + END


class Stamps:
    """Finds the stamps in the bytes of one stream, however they are cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[int]:
        """Return the times of sending of the pieces that are complete now."""
        text = self._rest + data
        found, end = list[int](), 0
        for match in _STAMP.finditer(text):
            found.append(int(match[1]))
            end = match.end()
        self._rest = text[max(end, len(text) - _STAMP_BYTES) :]
        return found
