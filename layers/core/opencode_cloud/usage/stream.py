"""Handle the stream of the DynamoDB table ``usage``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.batches import StreamBatch, StreamRecord
from opencode_cloud.kit.log import count
from opencode_cloud.schema.usage_events import counters_of, from_row

if TYPE_CHECKING:
    from opencode_cloud.usage.service import Ingest


class UsageStream:
    """Ingests the events of calls."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._batch = StreamBatch(_entry, self._take)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Ingest a batch; return the records that are not events, so that they go to the dead-letter queue.

        Records after the first of them are delivered again, which is harmless. Without MySQL, the batch is retried.
        """
        return self._batch.handle(event)

    def _take(self, changes: Sequence[StreamRecord[SettledEvent]]) -> Iterable[StreamRecord[SettledEvent]]:
        new = self._ingest.take([change.payload for change in changes])
        count("UsageEvents", new)
        count("UsageEventsRepeated", len(changes) - new)
        return ()


def _entry(record: Mapping[str, Any]) -> SettledEvent | None:
    """Read a new row. Updates (removed metadata) and deletions (by TTL) of rows are not events."""
    if record["eventName"] != "INSERT":
        return None
    try:
        row = record["dynamodb"]["NewImage"]
        return SettledEvent(event=from_row(row), counters=counters_of(row))
    except (KeyError, TypeError, msgspec.MsgspecError):
        count("UsageEventsPoisoned")
        raise
