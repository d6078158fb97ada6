"""The stream of the DynamoDB table ``usage`` to the rules of usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit.batches import Change, StreamBatch
from opencode_cloud.kit.log import count
from opencode_cloud.schema.usage_events import counters_of, from_row
from opencode_cloud.usage.models import Entry

if TYPE_CHECKING:
    from opencode_cloud.usage.service import Ingest


class UsageStream:
    """Takes in the events that calls left behind."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._batch = StreamBatch(_entry, self._take)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take a batch in; answer which records are no events, so that they end in the dead-letter queue.

        What follows the first of them comes again, which changes nothing. Without MySQL the whole batch comes again.
        """
        return self._batch.handle(event)

    def _take(self, changes: Sequence[Change[Entry]]) -> Iterable[Change[Entry]]:
        new = self._ingest.take([change.payload for change in changes])
        count("UsageEvents", new)
        count("UsageEventsRepeated", len(changes) - new)
        return ()


def _entry(record: Mapping[str, Any]) -> Entry | None:
    """Read a new row. Changes of rows (metadata that ends) and deletions (by TTL) are no events."""
    if record["eventName"] != "INSERT":
        return None
    try:
        row = record["dynamodb"]["NewImage"]
        return Entry(event=from_row(row), counters=counters_of(row))
    except (KeyError, TypeError, msgspec.MsgspecError):
        count("UsageEventsPoisoned")
        raise
