"""One function behind several queues, streams and a schedule: each batch goes to who understands it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Handle = Callable[[dict[str, Any]], dict[str, Any]]


class Dispatch:
    """Hands batches to the handler of their queue or table, and all else, ticks of a schedule, to ``tick``."""

    def __init__(
        self,
        queues: Mapping[str, Handle],
        tick: Callable[[], dict[str, Any]],
        streams: Mapping[str, Handle] | None = None,
    ) -> None:
        """``queues`` are handlers by the URL of their queue, ``streams`` by the name of their DynamoDB table."""
        self._queues = {url.rpartition("/")[2]: handle for url, handle in queues.items()}
        self._streams = dict(streams or {})
        self._tick = tick

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Deal with one event; a batch is always of one source. Raises KeyError for a source that is not known."""
        if "Records" not in event:
            return self._tick()
        first = event["Records"][0]
        source: str = first["eventSourceARN"]
        if first["eventSource"] == "aws:dynamodb":
            return self._streams[source.split("/")[1]](event)
        return self._queues[source.rpartition(":")[2]](event)
