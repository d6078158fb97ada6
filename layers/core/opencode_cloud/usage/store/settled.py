"""Read what the gateway wrote when it settled a call: at once, and with what SQL does not keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import day_of, now_seconds
from opencode_cloud.schema.usage_events import counters_of, from_row, partition

if TYPE_CHECKING:
    from opencode_cloud.contracts.ids import WorkspaceId
    from opencode_cloud.contracts.usage import UsageEvent

CLOCKS_SECONDS = 5
"""The most by which the clocks of two functions differ."""


class SettledCalls:
    """Reads of the table ``usage``."""

    def __init__(self, table: str) -> None:
        self._table = table

    def find(self, workspace_id: WorkspaceId, correlation_id: str, since: int) -> UsageEvent | None:
        """Return the event of the call with a correlation id; None if no call since then has it.

        ``since`` is in seconds since the epoch. The read takes longer the more calls there were, so give a recent time.
        """
        earliest = since - CLOCKS_SECONDS
        for day in sorted({day_of(earliest), day_of(now_seconds() + CLOCKS_SECONDS)}, reverse=True):
            pages = aws.dynamodb().pages(
                TableName=self._table,
                KeyConditionExpression="pk = :day",
                ExpressionAttributeValues={":day": {"S": partition(workspace_id, day)}},
                ScanIndexForward=False,
                ConsistentRead=True,
                Limit=100,
            )
            for event in (from_row(row) for page in pages for row in page["Items"]):
                if event.at < earliest * 1000:
                    break
                if event.correlation_id == correlation_id:
                    return event
        return None

    def counters_of(self, event: UsageEvent) -> Sequence[str] | None:
        """Return the keys of the counters on which an event was settled; None if its row is gone."""
        key = {"pk": {"S": partition(event.workspace_id, day_of(event.at // 1000))}, "sk": {"S": event.id}}
        row: Any = aws.dynamodb().get_item(TableName=self._table, Key=key).get("Item")
        return counters_of(row) if row else None
