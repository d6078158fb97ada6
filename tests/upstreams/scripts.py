"""What a scripted upstream shall do: it travels as the text of a prompt."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MARK = '{"script"'
TITLE = "A scripted session"


class Kind(StrEnum):
    """How an upstream fails."""

    STATUS = "status"
    """Answers with `status`, for `times` requests of the script."""
    RESET = "reset"
    """Resets the connection instead of answering."""
    HANG = "hang"
    """Never sends headers."""
    HEADERS_THEN_HANG = "headers_then_hang"
    """Sends headers, and never a byte of the body."""
    STALL = "stall"
    """Stops after `after` events, with the connection open."""
    CUT = "cut"
    """Resets the connection after `after` events."""
    TRUNCATE = "truncate"
    """Closes the connection after `after` events, in the middle of the body."""
    END = "end"
    """Ends the body as if it were whole, after `after` events."""
    GARBAGE = "garbage"
    """Sends bytes that are no event after `after` events, then ends."""
    HTML = "html"
    """Answers 200 with a web page."""
    HUGE = "huge"
    """Sends 10 MB in one event, and is fine otherwise."""
    DRIP = "drip"
    """Sends byte by byte, and is fine otherwise."""
    ERROR_EVENT = "error_event"
    """Sends the format's error event after `after` events, then ends."""
    NO_USAGE = "no_usage"
    """Never says what was used."""
    EMPTY = "empty"
    """Answers 200 with an empty body."""


@dataclass(frozen=True)
class Fault:
    """A failure of one upstream."""

    kind: Kind
    times: int = 0
    """How many requests of the script fail; 0: all."""
    after: int = 3
    """Events that are sent before it."""
    status: int = 500
    retry_after: str = ""


@dataclass(frozen=True)
class Call:
    """A call of a tool."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What the upstream says was used, in tokens; no token is in two of the first four."""

    input: int = 1000
    cache_read: int = 0
    cache_write: int = 0
    output: int = 20
    """With what was reasoned."""
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Script:
    """One turn: rounds of tool calls, then a text."""

    say: str = "Done."
    """Streamed word by word."""
    think: str = ""
    """Reasoning before the text or the calls."""
    steps: tuple[tuple[Call, ...], ...] = ()
    """Calls of each round: all calls of a round come in one answer."""
    stop: str = "end"
    """Why the text ends: end, length, filter."""
    usage: Usage = Usage()
    describe: bool = False
    """Says what the upstream has understood, as JSON, instead of `say`."""
    stamp: bool = False
    """Says the time at which each word is sent (monotonic clock, nanoseconds) instead of the words of `say`."""
    pause: float = 0.0
    """Seconds between events."""
    wait: float = 0.0
    """Seconds before the headers."""
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    """By name of the upstream; `*` for all."""
    tag: str = field(default_factory=lambda: secrets.token_hex(6))
    """Under which the requests are recorded."""

    def prompt(self) -> str:
        """Return the script as a prompt."""
        return json.dumps({"script": asdict(self)})

    def fault(self, upstream: str) -> Fault | None:
        """Return how `upstream` fails; None: it does not."""
        return self.faults.get(upstream, self.faults.get("*"))


def written_in(text: str) -> Script | None:
    """Return the script that a prompt begins with; clients may add lines of their own after it."""
    if not text.startswith(MARK):
        return None
    document = json.JSONDecoder().raw_decode(text)[0]["script"]
    steps = tuple(tuple(Call(**call) for call in calls) for calls in document.pop("steps"))
    faults = {name: Fault(**{**fault, "kind": Kind(fault["kind"])}) for name, fault in document.pop("faults").items()}
    return Script(**{**document, "steps": steps, "faults": faults, "usage": Usage(**document["usage"])})
