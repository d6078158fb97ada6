"""Read the DynamoDB tables ``usage`` and ``budgets``, which reconciliation compares SQL with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import batch_get, conditional_write, primary_key
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.schema.usage_events import counters_of, from_row, partition
from opencode_cloud.usage.models import CounterValues


class UsageTable:
    """Reads and trims settled events."""

    def __init__(self, name: str) -> None:
        self._name = name

    def day(self, workspace_id: WorkspaceId, day: str, after: str | None = None) -> Iterator[Sequence[SettledEvent]]:
        """Return pages of the events of a workspace's UTC day (``YYYY-MM-DD``) that follow the id ``after``, by id."""
        pk = partition(workspace_id, day)
        pages = aws.dynamodb().pages(
            TableName=self._name,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND sk > :after",
            ExpressionAttributeValues={":pk": {"S": pk}, ":after": {"S": after or "!"}},
        )
        for page in pages:
            yield [entry for row in page["Items"] if (entry := _entry(row)) is not None]

    def remove_metadata(self, calls: Sequence[tuple[str, str, str]]) -> None:
        """Remove the metadata of events. Each place is a workspace, a day and an event's id."""
        parallel_map(self._remove_metadata_of, calls)

    def _remove_metadata_of(self, call: tuple[str, str, str]) -> None:
        workspace, day, call_id = call
        conditional_write(
            aws.dynamodb().update_item,
            TableName=self._name,
            Key=primary_key(partition(WorkspaceId(workspace), day), call_id),
            UpdateExpression="REMOVE metadata",
            ConditionExpression="attribute_exists(metadata)",
        )


class CounterTable:
    """Reads the counters of budgets."""

    def __init__(self, name: str) -> None:
        self._name = name

    def get(self, counters: Sequence[str]) -> Mapping[str, CounterValues]:
        """Return the values of counters by key; missing counters are left out."""
        keys = [primary_key(key, "COUNTER") for key in counters]
        rows = batch_get(aws.dynamodb(), {self._name: keys})[self._name]
        return {row["pk"]["S"]: _counted(row) for row in rows}


def _entry(row: Mapping[str, Any]) -> SettledEvent | None:
    try:
        return SettledEvent(event=from_row(row), counters=counters_of(row))
    except (KeyError, TypeError, msgspec.MsgspecError):
        # One bad row must not prevent counting the others; log it, because it is not counted.
        logger.exception("a row of the table of usage is no event", extra={"row": row.get("sk")})
        count("UsageEventsPoisoned")
        return None


def _counted(row: Mapping[str, Any]) -> CounterValues:
    return CounterValues(
        scope=row["scope"]["S"],
        unit=row["unit"]["S"],
        spent=int(row.get("spent", {}).get("N", "0")),
        reserved=int(row.get("reserved", {}).get("N", "0")),
        resets_at=int(row["resets_at"]["N"]) if "resets_at" in row else None,
    )
