"""What all processes of the gateway saw of upstreams together.

Rows ``health`` / ``<upstream>/<model>`` of table ``budgets``: ``failures`` in a ``window`` of some seconds, and
``rests_until``. A row is written when an attempt fails, and read in the background while calls go on, so that neither
costs a call anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import ConditionFailed, DynamoDBError
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.gateway.service.health import Circuit
    from opencode_cloud.kit.dynamodb import DynamoDB, Item

PARTITION = "health"
WINDOW_SECONDS = 15
FAILURES = 5
"""In one window, in all processes, until an upstream rests."""
REST_SECONDS = 15
LOOK_EVERY_SECONDS = 1.0
KEPT_SECONDS = 3600


class SharedHealth:
    """Tells other processes of failures, and hears of theirs."""

    def __init__(self, dynamodb: DynamoDB, table: str, hear: Callable[[Mapping[Circuit, float]], None]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._hear = hear
        self._looked = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, circuit: Circuit) -> None:
        """Count a failure, in the background."""
        self._go(self._count(circuit))

    def look(self) -> None:
        """Hear what others saw, in the background, unless that was just done."""
        if time.monotonic() - self._looked >= LOOK_EVERY_SECONDS:
            self._looked = time.monotonic()
            self._go(self._read())

    def _go(self, work: Awaitable[None]) -> None:
        task = asyncio.create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (DynamoDBError, Unavailable) as error:
            logger.warning("the health of upstreams is not shared", extra={"reason": type(error).__name__})

    async def _count(self, circuit: Circuit) -> None:
        """Count in the present window, or begin it."""
        window = now_seconds() // WINDOW_SECONDS
        values = {":window": {"N": str(window)}, ":one": {"N": "1"}, ":ttl": {"N": str(now_seconds() + KEPT_SECONDS)}}
        request: Item = {
            "TableName": self._table,
            "Key": {"pk": {"S": PARTITION}, "sk": {"S": "/".join(circuit)}},
            "ExpressionAttributeNames": {"#window": "window", "#ttl": "ttl"},
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_NEW",
        }
        same = {"UpdateExpression": "SET #ttl = :ttl ADD failures :one", "ConditionExpression": "#window = :window"}
        begin = {
            "UpdateExpression": "SET failures = :one, #window = :window, #ttl = :ttl",
            "ConditionExpression": "attribute_not_exists(#window) OR #window < :window",
        }
        # If another process begins the window in between, the first form holds again.
        for form in (same, begin, same):
            try:
                answer = await self._dynamodb.call("UpdateItem", {**request, **form})
            except ConditionFailed:
                continue
            if int(answer["Attributes"]["failures"]["N"]) >= FAILURES:
                await self._rest(circuit)
            return

    async def _rest(self, circuit: Circuit) -> None:
        now = now_seconds()
        await self._dynamodb.call(
            "UpdateItem",
            {
                "TableName": self._table,
                "Key": {"pk": {"S": PARTITION}, "sk": {"S": "/".join(circuit)}},
                "UpdateExpression": "SET rests_until = :until",
                "ExpressionAttributeValues": {":until": {"N": str(now + REST_SECONDS)}},
            },
        )

    async def _read(self) -> None:
        answer = await self._dynamodb.call(
            "Query",
            {
                "TableName": self._table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": PARTITION}},
            },
        )
        self._hear({_circuit(row): float(row["rests_until"]["N"]) for row in answer["Items"] if "rests_until" in row})


def _circuit(row: Item) -> Circuit:
    upstream, _, model = row["sk"]["S"].partition("/")
    return upstream, model
