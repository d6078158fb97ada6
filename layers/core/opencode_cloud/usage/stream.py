"""The stream of the DynamoDB table ``usage`` to the rules of usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit.log import count, logger
from opencode_cloud.schema.usage_events import counters_of, from_row
from opencode_cloud.usage.models import Entry

if TYPE_CHECKING:
    from opencode_cloud.usage.service import Ingest


class UsageStream:
    """Takes in the events that calls left behind."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take a batch in; answer which records are no events, so that they end in the dead-letter queue.

        What follows the first of them comes again, which changes nothing. Without MySQL the whole batch comes again.
        Rows are also changed (their metadata ends) and deleted (their time is over): that is no news here.
        """
        entries: list[Entry] = []
        failures: list[dict[str, str]] = []
        for change in event["Records"]:
            if change["eventName"] != "INSERT":
                continue
            try:
                row = change["dynamodb"]["NewImage"]
                entries.append(Entry(event=from_row(row), counters=counters_of(row)))
            except (KeyError, TypeError, msgspec.MsgspecError):
                number = change["dynamodb"]["SequenceNumber"]
                logger.exception("a record of the usage stream is no event", extra={"sequence_number": number})
                count("UsageEventsPoisoned")
                failures.append({"itemIdentifier": number})
        new = self._ingest.take(entries)
        count("UsageEvents", new)
        count("UsageEventsRepeated", len(entries) - new)
        return {"batchItemFailures": failures}
