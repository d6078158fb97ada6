"""Counters of events in fixed windows, in DynamoDB, which all instances of all functions share.

In a period across two windows, twice the limit can pass. Limits bound load and guessing, for which this precision
suffices at the cost of one atomic write for each event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import Item, primary_key

if TYPE_CHECKING:
    from opencode_cloud.kit.dynamodb import DynamoDB


class Count(msgspec.Struct, frozen=True):
    """Number of events of a window so far, including this one."""

    events: int
    reset: int
    """Seconds until the window ends."""


Expense = tuple[str, int, Mapping[str, int]]
"""A subject, the length of its window in seconds, and amounts to add to its sums."""


class Totals(msgspec.Struct, frozen=True):
    """Sums of a window so far, including the amounts just added."""

    amounts: Mapping[str, int]
    reset: int
    """Seconds until the window ends."""

    def of(self, name: str) -> int:
        """Return one sum."""
        return self.amounts[name]


def count_event(
    client: DynamoDB,
    table: str,
    subject: str,
    seconds: int,
    key: Callable[[str], Item] = primary_key,
) -> Count:
    """Count one event of ``subject`` in the present window of ``seconds``, as :func:`add_amounts` does."""
    totals = add_amounts(client, table, subject, seconds, {"count": 1}, key)
    return Count(totals.of("count"), totals.reset)


def add_amounts(
    client: DynamoDB,
    table: str,
    subject: str,
    seconds: int,
    amounts: Mapping[str, int],
    key: Callable[[str], Item] = primary_key,
) -> Totals:
    """Add ``amounts`` of ``subject`` to the sums of the present window of ``seconds``.

    The row is ``rate#<subject>#<window>``, under the primary key that ``key`` returns for this text. It expires (TTL)
    one window after its own.
    """
    window, passed = divmod(now_seconds(), seconds)
    answer: Any = client.update_item(
        TableName=table,
        Key=key(f"rate#{subject}#{window}"),
        UpdateExpression="SET #ttl = :ttl ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
        ExpressionAttributeNames={"#ttl": "ttl", **{f"#{name}": name for name in amounts}},
        ExpressionAttributeValues={
            ":ttl": {"N": str((window + 2) * seconds)},
            **{f":{name}": {"N": str(amount)} for name, amount in amounts.items()},
        },
        ReturnValues="UPDATED_NEW",
    )
    return Totals({name: int(answer["Attributes"][name]["N"]) for name in amounts}, seconds - passed)
