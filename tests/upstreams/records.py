"""What was asked of a scripted upstream, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Record:
    """One request. Times are of the monotonic clock, in seconds."""

    upstream: str
    tag: str
    """Of the script in it; empty: it had none."""
    method: str
    path: str
    headers: dict[str, str]
    """With lower-case names."""
    body: Any
    """The parsed JSON."""
    began: float
    ended: float | None = None
    """When the answer was complete, or the connection gone."""
    disconnected: bool = False
    """Whether the caller went away before the answer was complete."""
    events: int = 0
    """Sent so far."""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was understood of it: see `conversations.Heard`."""
