"""Dispatch events of a function that has several queues, streams and a schedule as sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Handle = Callable[[dict[str, Any]], dict[str, Any]]


class Dispatch:
    """Passes batches to the handler of their queue or table, and other events, ticks of a schedule, to ``tick``."""

    def __init__(
        self,
        queues: Mapping[str, Handle],
        tick: Callable[[], dict[str, Any]],
        streams: Mapping[str, Handle] | None = None,
    ) -> None:
        """``queues`` maps URLs of queues to handlers, ``streams`` names of DynamoDB tables."""
        self._queues = {url.rpartition("/")[2]: handle for url, handle in queues.items()}
        self._streams = dict(streams or {})
        self._tick = tick

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle one event. A batch always has one source. Raises KeyError for an unknown source."""
        if "Records" not in event:
            return self._tick()
        first = event["Records"][0]
        source: str = first["eventSourceARN"]
        if first["eventSource"] == "aws:dynamodb":
            return self._streams[source.split("/")[1]](event)
        return self._queues[source.rpartition(":")[2]](event)
