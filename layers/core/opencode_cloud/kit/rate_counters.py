"""Counters of events in fixed windows, in DynamoDB, which all instances of all functions share.

In a period across two windows, twice the limit can pass. Limits bound load and guessing, for which this precision
suffices at the cost of one atomic write for each event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import Item, primary_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Count:
    """Number of events of a window so far, including this one."""

    events: int
    reset: int
    """Seconds until the window ends."""


def count_event(
    client: DynamoDBClient,
    table: str,
    subject: str,
    seconds: int,
    key: Callable[[str], Item] = primary_key,
) -> Count:
    """Count one event of ``subject`` in the present window of ``seconds``.

    The row is ``rate#<subject>#<window>``, under the primary key that ``key`` returns for this text. It expires (TTL)
    one window after its own.
    """
    window, passed = divmod(now_seconds(), seconds)
    answer: Any = client.update_item(
        TableName=table,
        Key=key(f"rate#{subject}#{window}"),
        UpdateExpression="SET #ttl = :ttl ADD #count :one",
        ExpressionAttributeNames={"#ttl": "ttl", "#count": "count"},
        ExpressionAttributeValues={":ttl": {"N": str((window + 2) * seconds)}, ":one": {"N": "1"}},
        ReturnValues="UPDATED_NEW",
    )
    return Count(int(answer["Attributes"]["count"]["N"]), seconds - passed)
