"""Shares for measurements: sessions, and items with prose as text."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.functions import Event, http_event
from benchmarks.prose import prose

Json = dict[str, Any]
ITEM_BYTES = 2048
BATCH = 10


@dataclass(slots=True)
class Shared:
    """A share in the sandbox, and the number of its items."""

    session: str
    id: str
    secret: str
    published: int = 0

    def batch(self, count: int, size: int = ITEM_BYTES) -> list[Json]:
        """Return the next ``count`` new parts of ``size`` characters of text each."""
        first, self.published = self.published, self.published + count
        return [part(self.session, number, size) for number in range(first, first + count)]

    def sync(self, items: Sequence[Json]) -> Event:
        """Return the event of publishing ``items``."""
        return http_event("POST", f"/api/share/{self.id}/sync", {"secret": self.secret, "data": items})


def new_session() -> str:
    """Return a session id of the form that the clients make."""
    core = "".join(secrets.choice(string.hexdigits[:16]) for _ in range(12))
    return f"ses_{core}" + "".join(secrets.choice(string.ascii_letters) for _ in range(14))


def part(session: str, number: int, size: int) -> Json:
    """Return one published item: a text part of a message."""
    data = {"id": f"prt_{number:08}", "messageID": "msg_00000001", "sessionID": session, "type": "text"}
    return {"type": "part", "data": {**data, "text": prose(size, number)}}
