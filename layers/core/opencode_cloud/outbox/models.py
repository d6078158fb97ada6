"""The nouns of the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A promise to tell the other planes that the row ``subject`` of ``topic`` has changed."""

    id: int
    topic: str
    subject: str
    payload: Any
    relayed: bool
