"""One function behind several queues and a schedule: each batch goes to who understands it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Handle = Callable[[dict[str, Any]], dict[str, Any]]


class Dispatch:
    """Hands batches to the handler of their queue, and everything else, ticks of a schedule, to ``tick``."""

    def __init__(self, queues: Mapping[str, Handle], tick: Callable[[], dict[str, Any]]) -> None:
        """``queues`` are handlers by the URL of their queue."""
        self._queues = {url.rpartition("/")[2]: handle for url, handle in queues.items()}
        self._tick = tick

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Deal with one event; a batch is always of one queue. Raises KeyError for a queue that is not known."""
        if "Records" not in event:
            return self._tick()
        return self._queues[event["Records"][0]["eventSourceARN"].rpartition(":")[2]](event)
