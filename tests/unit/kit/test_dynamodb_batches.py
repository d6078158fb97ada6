"""Batches of DynamoDB: all keys and writes are processed, with pauses while DynamoDB throttles, for a bounded time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import (
    DynamoDBError,
    batch_delete,
    batch_get,
    batch_get_async,
    conditional_write,
    transact,
)
from opencode_cloud.kit.dynamodb.batch import BACKOFF
from opencode_cloud.kit.errors import Unavailable

if TYPE_CHECKING:
    from tests.unit.aws import Cloud


def key(name: object) -> dict[str, Any]:
    return {"pk": {"S": f"row#{name}"}}


def keys(number: int) -> list[dict[str, Any]]:
    return [key(each) for each in range(number)]


class Throttled:
    """DynamoDB that processes at most ``at_once`` keys of the first ``calls`` calls, and then everything."""

    def __init__(self, calls: int, at_once: int = 0) -> None:
        self.calls = calls
        self.at_once = at_once
        self.requests: list[Mapping[str, Any]] = []
        self.slept: list[float] = []

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = request["RequestItems"]
        return self.batch_get(wanted) if operation == "BatchGetItem" else self.batch_write(wanted)

    def batch_get(self, requested: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(requested)
        allowed = self.at_once if len(self.requests) <= self.calls else 1_000
        responses: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for table, wanted in requested.items():
            done, left = wanted["Keys"][:allowed], wanted["Keys"][allowed:]
            allowed -= len(done)
            responses[table] = done
            if left:
                rest[table] = {**wanted, "Keys": left}
        return {"Responses": responses, "UnprocessedKeys": rest}

    def batch_write(self, requested: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(requested)
        allowed = self.at_once if len(self.requests) <= self.calls else 1_000
        rest = {table: writes[allowed:] for table, writes in requested.items() if writes[allowed:]}
        return {"UnprocessedItems": rest}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.slept.append(seconds)


def read(client: Throttled, wanted: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return batch_get(client, wanted, sleep=client.sleep)  # pyright: ignore[reportArgumentType]


class AsyncThrottled(Throttled):
    """The same on an event loop."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().call(operation, request)


async def read_async(
    client: AsyncThrottled, wanted: Mapping[str, list[dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    return await batch_get_async(client, wanted, sleep=client.sleep_async)  # pyright: ignore[reportArgumentType]


def test_keys_are_read_a_hundred_at_a_time() -> None:
    client = Throttled(0)
    assert read(client, {"t": keys(250)}) == {"t": keys(250)}
    assert [len(request["t"]["Keys"]) for request in client.requests] == [100, 100, 50]
    assert client.slept == []


def test_keys_of_two_tables_share_a_round_trip() -> None:
    client = Throttled(0)
    assert read(client, {"a": keys(2), "b": keys(1)}) == {"a": keys(2), "b": keys(1)}
    assert len(client.requests) == 1


def test_without_keys_nothing_is_asked() -> None:
    client = Throttled(0)
    assert read(client, {"t": []}) == {"t": []}
    assert client.requests == []


def test_unprocessed_keys_are_read_again_after_a_pause() -> None:
    client = Throttled(2, at_once=3)
    assert read(client, {"t": keys(10)}) == {"t": keys(10)}
    assert [len(request["t"]["Keys"]) for request in client.requests] == [10, 7, 4]
    assert len(client.slept) == 2
    assert all(request["t"]["ConsistentRead"] for request in client.requests)


def test_a_table_that_only_throttles_ends_in_a_503_after_a_few_pauses() -> None:
    client = Throttled(1_000)
    with pytest.raises(Unavailable) as raised:
        read(client, {"t": keys(5)})
    assert (raised.value.code, raised.value.status) == ("store_unavailable", 503)
    assert len(client.requests) == BACKOFF.attempts == 6
    assert len(client.slept) == 5


def test_progress_starts_the_attempts_anew() -> None:
    client = Throttled(50, at_once=1)
    assert len(read(client, {"t": keys(40)})["t"]) == 40
    assert max(client.slept) <= BACKOFF.first


async def test_the_event_loop_reads_by_the_same_rule() -> None:
    client = AsyncThrottled(2, at_once=3)
    assert await read_async(client, {"t": keys(10)}) == {"t": keys(10)}
    assert len(client.slept) == 2
    stuck = AsyncThrottled(1_000)
    with pytest.raises(Unavailable):
        await read_async(stuck, {"t": keys(5)})
    assert len(stuck.requests) == 6


def test_writes_go_25_at_a_time_and_are_repeated_while_dynamodb_throttles() -> None:
    client = Throttled(1, at_once=5)
    batch_delete(client, "t", keys(30), sleep=client.sleep)  # pyright: ignore[reportArgumentType]
    assert [len(request["t"]) for request in client.requests] == [25, 20, 5]
    assert len(client.slept) == 1
    stuck = Throttled(1_000)
    with pytest.raises(Unavailable):
        batch_delete(stuck, "t", keys(3), sleep=stuck.sleep)  # pyright: ignore[reportArgumentType]
    assert len(stuck.requests) == 6


def test_rows_come_and_go_in_a_real_table(cloud: Cloud) -> None:
    table = cloud.table("sessions")
    for name in keys(30):
        aws.dynamodb().put_item(TableName=table, Item=name)
    assert len(batch_get(aws.dynamodb(), {table: [*keys(30), key("other")]})[table]) == 30
    batch_delete(aws.dynamodb(), table, keys(29))
    assert cloud.rows(table) == [key(29)]


def test_a_conditional_write_tells_whether_its_condition_held(cloud: Cloud) -> None:
    table = cloud.table("sessions")
    request: Any = {"TableName": table, "Item": key(1), "ConditionExpression": "attribute_not_exists(pk)"}
    assert conditional_write(aws.dynamodb().put_item, **request)
    assert not conditional_write(aws.dynamodb().put_item, **request)
    with pytest.raises(DynamoDBError):
        conditional_write(aws.dynamodb().put_item, TableName="missing", Item=key(1))


def test_a_transaction_tells_whether_its_conditions_held(cloud: Cloud) -> None:
    table = cloud.table("sessions")

    def put(name: int) -> dict[str, Any]:
        return {"Put": {"TableName": table, "Item": key(name), "ConditionExpression": "attribute_not_exists(pk)"}}

    assert transact(aws.dynamodb(), [put(1), put(2)])
    assert not transact(aws.dynamodb(), [put(3), put(2)])
    assert len(cloud.rows(table)) == 2
