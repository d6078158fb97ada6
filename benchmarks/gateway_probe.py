"""The emulator's part of a call's time: a bare client makes the two calls that precede the first byte."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from typing import Any

from opencode_cloud.kit.dynamodb import AsyncDynamoDB

PAUSE = 0.1
ROW_BYTES = 700
_KEYS = 5
_COUNTERS = 3


async def probe(until: float) -> list[int]:
    """Read five rows and write four in a transaction, repeatedly; return both durations of each time, in nanoseconds.

    ``until``: of the monotonic clock.
    """
    client, taken, mark = AsyncDynamoDB(), list[int](), f"probe#{secrets.token_hex(4)}"
    try:
        while time.monotonic() < until:
            began = time.monotonic_ns()
            await client.call("BatchGetItem", _read(mark))
            await client.call("TransactWriteItems", _write(mark))
            taken.append(time.monotonic_ns() - began)
            await asyncio.sleep(PAUSE)
    finally:
        await client.close()
    return taken


def _read(mark: str) -> dict[str, Any]:
    keys = [{"pk": {"S": f"{mark}#{number}"}, "sk": {"S": "PROBE"}} for number in range(_KEYS)]
    return {"RequestItems": {os.environ["ACCESS_TABLE"]: {"Keys": keys, "ConsistentRead": True}}}


def _write(mark: str) -> dict[str, Any]:
    table = os.environ["BUDGETS_TABLE"]
    updates = [
        {
            "Update": {
                "TableName": table,
                "Key": {"pk": {"S": f"{mark}#{number}"}, "sk": {"S": "PROBE"}},
                "UpdateExpression": "ADD committed :one",
                "ConditionExpression": "attribute_not_exists(committed) OR committed < :room",
                "ExpressionAttributeValues": {":one": {"N": "1"}, ":room": {"N": "1000000"}},
            }
        }
        for number in range(_COUNTERS)
    ]
    row = {"pk": {"S": f"{mark}#{secrets.token_hex(8)}"}, "sk": {"S": "PROBE"}, "body": {"S": "x" * ROW_BYTES}}
    return {"TransactItems": [*updates, {"Put": {"TableName": table, "Item": row}}]}
