"""The emulator's own time: single calls from a bare client, and a function that makes no calls."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import boto3

from benchmarks.summary import milliseconds
from opencode_cloud.kit import aws
from opencode_cloud.kit.sockets import Sockets

Json = dict[str, Any]
_PAYLOAD = 1024


def bare_calls(environment: Mapping[str, str], connection: str, repetitions: int) -> Json:
    """Time the calls of a commit one by one, from this process: wall and this process's own processor time.

    Also times the alternative to the single conditional put: a transaction that advances META and puts the record.
    """
    table = environment["SHARES_TABLE"]
    calls = _Calls(table)
    sockets = Sockets(environment["WEBSOCKET_ENDPOINT"])
    timed = _timed_in_turn(
        {
            "conditional put": calls.put,
            "transaction (META + put)": calls.transact,
            "query of the head": calls.query,
            "post to a connection": lambda: sockets.post([(connection, [b"x" * _PAYLOAD])]),
        },
        repetitions,
    )
    put, transaction = timed["conditional put"], timed["transaction (META + put)"]
    return {
        "calls": timed,
        "transaction_against_put": {
            "latency_ratio": round(transaction["p50_ms"] / put["p50_ms"], 2),
            "write_units_put": calls.put_units,
            "write_units_transaction": calls.transaction_units,
        },
    }


def idle_function(url: str, repetitions: int) -> Json:
    """Time `GET /health`, which makes no calls: at the front door, and at the emulator's own gateway behind it."""
    return _timed_in_turn({"front door": _health_check(url), "gateway": _health_check(gateway_url())}, repetitions)


def gateway_url() -> str:
    """Return the emulator's URL of our HTTP API."""
    client: Any = boto3.client("apigatewayv2")  # pyright: ignore[reportUnknownMemberType] - not in the installed stubs
    api = next(api for api in client.get_apis()["Items"] if api["ProtocolType"] == "HTTP")
    return f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{api['ApiId']}/$default"


class _Calls:
    """The calls of a commit on a share without viewers or owner."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._seq = 0
        self._client: Any = aws.dynamodb()
        self.put_units = self.transaction_units = 0.0
        self._client.put_item(TableName=table, Item={**self._key("META"), "seq": {"N": "0"}})

    def put(self) -> None:
        answer = self._client.put_item(**self._record(), ReturnConsumedCapacity="TOTAL")
        self.put_units = answer["ConsumedCapacity"]["CapacityUnits"]

    def transact(self) -> None:
        advance = {
            "TableName": self._table,
            "Key": self._key("META"),
            "UpdateExpression": "SET seq = :next",
            "ConditionExpression": "seq < :next",
            "ExpressionAttributeValues": {":next": {"N": str(self._seq + 1)}},
        }
        actions = [{"Update": advance}, {"Put": self._record()}]
        answer = self._client.call("TransactWriteItems", {"TransactItems": actions, "ReturnConsumedCapacity": "TOTAL"})
        self.transaction_units = sum(table["CapacityUnits"] for table in answer["ConsumedCapacity"])

    def query(self) -> None:
        self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues={":pk": {"S": "benchmark"}, ":low": {"S": "M"}, ":high": {"S": "V#~"}},
            ConsistentRead=True,
        )

    def _key(self, sort: str) -> Json:
        return {"pk": {"S": "benchmark"}, "sk": {"S": sort}}

    def _record(self) -> Json:
        self._seq += 1
        return {
            "TableName": self._table,
            "Item": {**self._key(f"L#{self._seq:012d}"), "payload": {"B": os.urandom(_PAYLOAD - 200)}},
            "ConditionExpression": "attribute_not_exists(pk)",
        }


def _timed_in_turn(calls: Mapping[str, Callable[[], object]], repetitions: int) -> Json:
    """Time calls in turn, each in every round, so that disturbances of the machine affect all of them."""
    walls: dict[str, list[int]] = {name: [] for name in calls}
    cpus = dict.fromkeys(calls, 0)
    for number in range(-repetitions // 10, repetitions):
        for name, call in calls.items():
            started, cpu = time.perf_counter_ns(), time.thread_time_ns()
            call()
            if number >= 0:  # earlier rounds are the warm-up
                cpus[name] += time.thread_time_ns() - cpu
                walls[name].append(time.perf_counter_ns() - started)
    return {
        name: {**milliseconds(walls[name]), "client_cpu_ms": round(cpus[name] / repetitions / 1e6, 3)} for name in calls
    }


def _health_check(url: str) -> Callable[[], object]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=20)

    def get() -> None:
        connection.request("GET", f"{parts.path}/health")
        answer = connection.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"GET {url}/health: {answer.status}")

    return get
