"""BatchGetItem and BatchWriteItem in chunks, until every key and every write is processed.

DynamoDB may process a part of a batch and return the rest: when it throttles, or when an answer would exceed 16 MB. Its
API reference recommends exponential backoff for the rest ("BatchGetItem", "BatchWriteItem"). The core is a generator
without I/O, which yields requests and pauses. Drivers execute them with the client of threads or of the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit.dynamodb.codec import Item
from opencode_cloud.kit.dynamodb.errors import store_unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff

if TYPE_CHECKING:
    from opencode_cloud.kit.dynamodb.async_client import AsyncDynamoDB
    from opencode_cloud.kit.dynamodb.client import DynamoDB

KEYS_AT_ONCE = 100
"""DynamoDB's limit of keys in one BatchGetItem."""
WRITES_AT_ONCE = 25
"""DynamoDB's limit of requests in one BatchWriteItem."""
BACKOFF = Backoff(first=0.05, longest=1.0, attempts=6)
"""Bounds of attempts without progress. The pauses add up to 1.55 s at most."""
_UNPROCESSED_KEYS = "UnprocessedKeys"
_UNPROCESSED_WRITES = "UnprocessedItems"
Rows = dict[str, list[Item]]
RequestItems = dict[str, Any]


class Step(msgspec.Struct, frozen=True):
    """A call to make after a pause in seconds. Its answer is sent back into the core."""

    pause: float
    request: RequestItems


Core = Generator[Step, Mapping[str, Any], list[Mapping[str, Any]]]


def batch_get(
    client: DynamoDB,
    keys: Mapping[str, Sequence[Item]],
    *,
    consistent: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> Rows:
    """Return the rows with ``keys`` (by table), by table and in no order. Omit keys without a row.

    A hundred keys, of all tables together, take one round trip. Raises ``store_unavailable`` (503) when DynamoDB
    processes nothing more.
    """

    def send(request: RequestItems) -> Mapping[str, Any]:
        return client.call("BatchGetItem", {"RequestItems": request})

    return _rows(keys, _run(reading(keys, consistent=consistent), send, sleep))


async def batch_get_async(
    client: AsyncDynamoDB,
    keys: Mapping[str, Sequence[Item]],
    *,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> Rows:
    """Do the same as :func:`batch_get` on an event loop, always with consistent reads."""
    if sleep is None:
        from asyncio import sleep  # most functions have no event loop
    core, answer = reading(keys, consistent=True), None
    while True:
        try:
            step = next(core) if answer is None else core.send(answer)
        except StopIteration as end:
            return _rows(keys, end.value)
        if step.pause:
            await sleep(step.pause)
        answer = await client.call("BatchGetItem", {"RequestItems": step.request})


def batch_delete(
    client: DynamoDB, table: str, keys: Sequence[Item], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Delete the rows with ``keys`` of a table, 25 in a round trip; rows that do not exist are skipped.

    Raises ``store_unavailable`` (503) when DynamoDB processes nothing more. Some rows may be deleted by then.
    """
    _write(client, table, [{"DeleteRequest": {"Key": key}} for key in keys], sleep)


def batch_put(
    client: DynamoDB, table: str, rows: Sequence[Item], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Put ``rows`` with different keys into a table, 25 in a round trip.

    Raises ``store_unavailable`` (503) when DynamoDB processes nothing more. Some rows may be written by then.
    """
    _write(client, table, [{"PutRequest": {"Item": row}} for row in rows], sleep)


def _write(client: DynamoDB, table: str, requests: Sequence[Item], sleep: Callable[[float], None]) -> None:
    def send(request: RequestItems) -> Mapping[str, Any]:
        return client.call("BatchWriteItem", {"RequestItems": request})

    _run(writing(table, requests), send, sleep)


def reading(keys: Mapping[str, Sequence[Item]], *, consistent: bool, backoff: Backoff = BACKOFF) -> Core:
    """Yield the steps of reading ``keys`` (by table); return the answers."""
    pairs = [(table, key) for table, of_table in keys.items() for key in of_table]
    answers: list[Mapping[str, Any]] = []
    for chunk in _chunks(pairs, KEYS_AT_ONCE):
        request: RequestItems = {}
        for table, key in chunk:
            request.setdefault(table, {"Keys": [], "ConsistentRead": consistent})["Keys"].append(key)
        answers += yield from _until_processed(request, _UNPROCESSED_KEYS, backoff)
    return answers


def writing(table: str, requests: Sequence[Item], *, backoff: Backoff = BACKOFF) -> Core:
    """Yield the steps of executing ``requests`` on a table; return the answers."""
    answers: list[Mapping[str, Any]] = []
    for chunk in _chunks(requests, WRITES_AT_ONCE):
        answers += yield from _until_processed({table: list(chunk)}, _UNPROCESSED_WRITES, backoff)
    return answers


def _until_processed(request: RequestItems, rest: str, backoff: Backoff) -> Core:
    """Yield steps until DynamoDB returns nothing under ``rest``. Progress resets the pauses."""
    answers: list[Mapping[str, Any]] = []
    pauses, pause = backoff.pauses(), 0.0
    while True:
        answer = yield Step(pause, request)
        answers.append(answer)
        pending: RequestItems = answer.get(rest) or {}
        if not pending:
            return answers
        if _size(pending, rest) < _size(request, rest):
            pauses = backoff.pauses()
        following = next(pauses, None)
        if following is None:
            logger.warning("DynamoDB leaves a batch unprocessed", extra={"left": _size(pending, rest)})
            raise store_unavailable()
        request, pause = pending, following


def _size(request: RequestItems, rest: str) -> int:
    """Return the number of keys or writes in a request."""
    return sum(len(part["Keys"] if rest == _UNPROCESSED_KEYS else part) for part in request.values())


def _run(
    core: Core, send: Callable[[RequestItems], Mapping[str, Any]], sleep: Callable[[float], None]
) -> list[Mapping[str, Any]]:
    answer: Mapping[str, Any] | None = None
    while True:
        try:
            step = next(core) if answer is None else core.send(answer)
        except StopIteration as end:
            return end.value
        if step.pause:
            sleep(step.pause)
        answer = send(step.request)


def _rows(tables: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> Rows:
    return {table: [row for answer in answers for row in answer["Responses"].get(table, [])] for table in tables}


def _chunks(things: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (things[start : start + size] for start in range(0, len(things), size))
