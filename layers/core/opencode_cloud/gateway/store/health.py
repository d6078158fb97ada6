"""Failures of upstreams that all processes of the gateway share.

Rows ``health`` / ``<upstream>/<model>`` of table ``budgets`` are about the platform's own credentials, and rows
``health#<credential>`` / ``<upstream>/<model>`` about one workspace's: ``failures`` in a ``window`` of some seconds,
and ``rests_until``. Rows are written when an attempt fails and read in the background, so that calls never wait for
them. A process reads the rows of an owner when a call uses that owner's credential.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from opencode_cloud.gateway.models import PLATFORM, Circuit
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import ConditionFailed, DynamoDBError, primary_key
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.kit.dynamodb import AsyncDynamoDB, Item

PARTITION = "health"
WINDOW_SECONDS = 15
"""Length of the window in which failures are counted."""
FAILURES = 5
"""Failures in one window, over all processes, after which an upstream rests."""
REST_SECONDS = 15
READ_EVERY_SECONDS = 1.0
MOST_OWNERS = 1000
"""Owners whose last reading is remembered. Beyond, all are forgotten, and their rows are read again."""
KEPT_SECONDS = 3600
"""Time to live of a row after its last failure."""


class SharedHealth:
    """Publishes failures to other processes, and reads theirs."""

    def __init__(
        self, dynamodb: AsyncDynamoDB, table: str, update: Callable[[str, Mapping[Circuit, float]], None]
    ) -> None:
        """``update`` gets an owner and the ends of its rests (seconds since the epoch) whenever they were read."""
        self._dynamodb = dynamodb
        self._table = table
        self._update = update
        self._read_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, circuit: Circuit) -> None:
        """Count a failure, in the background."""
        self._start(self._count(circuit))

    def refresh(self, owner: str) -> None:
        """Read an owner's failures in other processes, in the background, at most once a second."""
        now = time.monotonic()
        if now - self._read_at.get(owner, -READ_EVERY_SECONDS) >= READ_EVERY_SECONDS:
            if len(self._read_at) >= MOST_OWNERS:
                self._read_at.clear()
            self._read_at[owner] = now
            self._start(self._read(owner))

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.create_task(self._logging_errors(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logging_errors(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (DynamoDBError, Unavailable) as error:
            logger.warning("the health of upstreams is not shared", extra={"reason": type(error).__name__})

    async def _count(self, circuit: Circuit) -> None:
        """Count a failure in the current window, or begin the window."""
        window = now_seconds() // WINDOW_SECONDS
        values = {":window": {"N": str(window)}, ":one": {"N": "1"}, ":ttl": {"N": str(now_seconds() + KEPT_SECONDS)}}
        request: Item = {
            "TableName": self._table,
            "Key": _key(circuit),
            "ExpressionAttributeNames": {"#window": "window", "#ttl": "ttl"},
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_NEW",
        }
        same = {"UpdateExpression": "SET #ttl = :ttl ADD failures :one", "ConditionExpression": "#window = :window"}
        begin = {
            "UpdateExpression": "SET failures = :one, #window = :window, #ttl = :ttl",
            "ConditionExpression": "attribute_not_exists(#window) OR #window < :window",
        }
        # If another process begins the window between the two updates, the first form applies again.
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
                "Key": _key(circuit),
                "UpdateExpression": "SET rests_until = :until",
                "ExpressionAttributeValues": {":until": {"N": str(now + REST_SECONDS)}},
            },
        )

    async def _read(self, owner: str) -> None:
        answer = await self._dynamodb.call(
            "Query",
            {
                "TableName": self._table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": _partition(owner)}},
            },
        )
        now = now_seconds()
        rests = {_circuit(owner, row): float(row.get("rests_until", {"N": "0"})["N"]) for row in answer["Items"]}
        self._update(owner, {circuit: until for circuit, until in rests.items() if until > now})


def _partition(owner: str) -> str:
    return PARTITION if owner == PLATFORM else f"{PARTITION}#{owner}"


def _key(circuit: Circuit) -> Item:
    return primary_key(_partition(circuit.owner), f"{circuit.upstream}/{circuit.model}")


def _circuit(owner: str, row: Item) -> Circuit:
    upstream, _, model = row["sk"]["S"].partition("/")
    return Circuit(owner, upstream, model)
