"""The format of a usage event as a row of the DynamoDB table ``usage``.

Partition key ``pk``: workspace and UTC day of the call's arrival; sort key ``sk``: the call's id. One query therefore
returns a day of a workspace, the unit of replay and reconciliation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import DAY_SECONDS, day_of

Item = dict[str, Any]
KEPT_DAYS = 400
"""How long DynamoDB keeps an event after the call."""


def partition(workspace_id: WorkspaceId, day: str) -> str:
    """Return the partition of a workspace's UTC day (``YYYY-MM-DD``)."""
    return f"{workspace_id}#{day}"


def to_row(event: UsageEvent, counters: Sequence[str] = ()) -> Item:
    """Return the row of an event. ``counters`` are the keys of the budget counters on which it was settled.

    Metadata has its own attribute, since it is removed earlier than the event.
    """
    seconds = event.at // 1000
    row: Item = {
        "pk": {"S": partition(event.workspace_id, day_of(seconds))},
        "sk": {"S": event.id},
        "event": {"S": msgspec.json.encode(msgspec.structs.replace(event, metadata={})).decode()},
        "counters": {"L": [{"S": key} for key in counters]},
        "ttl": {"N": str(seconds + KEPT_DAYS * DAY_SECONDS)},
    }
    if event.metadata:
        row["metadata"] = {"S": msgspec.json.encode(event.metadata).decode()}
    return row


def from_row(item: Mapping[str, Any]) -> UsageEvent:
    """Return the event of a row. Raises ``KeyError`` or ``msgspec.DecodeError`` for an invalid row."""
    event = msgspec.json.decode(item["event"]["S"], type=UsageEvent)
    if "metadata" not in item:
        return event
    return msgspec.structs.replace(event, metadata=msgspec.json.decode(item["metadata"]["S"], type=dict[str, str]))


def counters_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the budget counters on which the event of a row was settled."""
    return tuple(counter["S"] for counter in item.get("counters", {}).get("L", ()))
