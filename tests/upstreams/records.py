"""The requests to a scripted upstream, and their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Record:
    """One request. Times are seconds of the monotonic clock."""

    upstream: str
    tag: str
    """The id of the script in the request; empty: it had no script."""
    method: str
    path: str
    headers: dict[str, str]
    """Headers with lower-case names."""
    body: Any
    """The parsed JSON."""
    began: float
    ended: float | None = None
    """The time at which the answer was complete or the connection was closed."""
    disconnected: bool = False
    """True if the caller disconnected before the answer was complete."""
    refused: list[str] = field(default_factory=list[str])
    """Why the request was refused as invalid; empty: it was not."""
    events: int = 0
    """Number of events sent so far."""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    """The parsed conversation: see `conversations.Heard`."""
