"""Scripts for upstreams. A script is the text of a prompt."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

MARK = '{"script"'
TITLE = "A scripted session"
_REFERENCE = re.compile(r'"@(\w+)"')


class Kind(StrEnum):
    """The kinds of failure of an upstream."""

    STATUS = "status"
    """Answers with `status` to the first `times` requests of the script."""
    RESET = "reset"
    """Resets the connection instead of answering."""
    HANG = "hang"
    """Never sends headers."""
    HEADERS_THEN_HANG = "headers_then_hang"
    """Sends headers, but never a byte of the body."""
    STALL = "stall"
    """Stops after `after` events, with the connection open."""
    CUT = "cut"
    """Resets the connection after `after` events."""
    TRUNCATE = "truncate"
    """Closes the connection after `after` events, in the middle of the body."""
    END = "end"
    """Ends the body regularly, but after `after` events."""
    GARBAGE = "garbage"
    """Sends invalid bytes after `after` events, then ends."""
    HTML = "html"
    """Answers 200 with a web page."""
    HUGE = "huge"
    """Sends 10 MB in one event. The rest is correct."""
    DRIP = "drip"
    """Sends byte by byte. The rest is correct."""
    ERROR_EVENT = "error_event"
    """Sends the format's error event after `after` events, then ends."""
    NO_USAGE = "no_usage"
    """Never reports usage."""
    EMPTY = "empty"
    """Answers 200 with an empty body."""
    TOO_LONG = "too_long"
    """Refuses the prompt as too long, in the vendor's own words."""
    FEW_MEMBERS = "few_members"
    """Refuses each member of a Chat request that servers of other vendors may not know, as Mistral's does."""


@dataclass(frozen=True)
class Fault:
    """A failure of one upstream."""

    kind: Kind
    times: int = 0
    """Number of requests of the script that fail; 0: all."""
    after: int = 3
    """Number of events that are sent before the failure."""
    status: int = 500
    retry_after: str = ""


@dataclass(frozen=True)
class Call:
    """A call of a tool."""

    tool: str
    arguments: dict[str, Any]
    """The text `@name` as a value stands for the member of that name in a result of the turn."""
    namespace: str = ""
    """The tool's namespace, which Responses has apart from the name."""

    @property
    def name(self) -> str:
        """The name by which models of the other formats call the tool."""
        return f"{self.namespace}__{self.tool}" if self.namespace else self.tool

    def filled(self, results: Sequence[str]) -> Call:
        """Return the call with values of earlier results, such as the id of a sub-agent."""

        def value(found: re.Match[str]) -> str:
            member = re.compile(rf'\b{found[1]}\\*": *\\*"([^"\\]+)')
            told = [match[1] for result in results for match in member.finditer(result)]
            return json.dumps(told[-1] if told else "")

        return replace(self, arguments=json.loads(_REFERENCE.sub(value, json.dumps(self.arguments))))


@dataclass(frozen=True)
class Usage:
    """The usage that the upstream reports, in tokens. The first four do not overlap."""

    input: int = 1000
    cache_read: int = 0
    cache_write: int = 0
    output: int = 20
    """Tokens of the answer, including reasoning."""
    reasoning: int = 0
    input_audio: int = 0
    """The part of `input` that is sound."""
    cache_read_audio: int = 0
    """The part of `cache_read` that is sound, which only Google reports apart."""
    output_audio: int = 0
    """The part of `output` that is sound."""

    @property
    def audio(self) -> int:
        """Return the number of tokens of sound in the prompt."""
        return self.input_audio + self.cache_read_audio

    @property
    def prompt(self) -> int:
        """Return the number of all tokens of the prompt."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Script:
    """One turn: rounds of tool calls, then a text."""

    say: str = "Done."
    """The text, streamed word by word."""
    think: str = ""
    """Reasoning before the text or the calls."""
    steps: tuple[tuple[Call, ...], ...] = ()
    """The calls of each round. All calls of a round are in one answer."""
    stop: str = "end"
    """The reason of the end: end, length or filter."""
    usage: Usage = Usage()
    describe: bool = False
    """Answers with the parsed request, as JSON, instead of `say`."""
    stamp: bool = False
    """Replaces each word of `say` by the time at which it is sent (monotonic clock, nanoseconds)."""
    pause: float = 0.0
    """Pause between events, in seconds."""
    wait: float = 0.0
    """Pause before the headers, in seconds."""
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    """Failures by name of the upstream; `*` means all upstreams."""
    tag: str = field(default_factory=lambda: secrets.token_hex(6))
    """The id under which the requests are recorded."""

    def prompt(self) -> str:
        """Return the script as a prompt."""
        return json.dumps({"script": asdict(self)})

    def fault(self, upstream: str) -> Fault | None:
        """Return the failure of `upstream`; None if it does not fail."""
        return self.faults.get(upstream, self.faults.get("*"))


def written_in(text: str) -> Script | None:
    """Return the script in a prompt. Clients may add lines before and after it."""
    start = text.find(MARK)
    if start < 0:
        return None
    document = json.JSONDecoder().raw_decode(text, start)[0]["script"]
    steps = tuple(tuple(Call(**call) for call in calls) for calls in document.pop("steps"))
    faults = {name: Fault(**{**fault, "kind": Kind(fault["kind"])}) for name, fault in document.pop("faults").items()}
    return Script(**{**document, "steps": steps, "faults": faults, "usage": Usage(**document["usage"])})
