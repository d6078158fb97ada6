"""Count the actual AWS calls of the functions: our clients are wrapped, those of ``@connections`` too."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.capacity import read_units
from opencode_cloud.kit import sockets
from opencode_cloud.kit.aws_api.json_services import Service
from opencode_cloud.kit.aws_api.s3 import S3
from opencode_cloud.kit.dynamodb import DynamoDB

HOLD_SECONDS = 0.06
"""Delay of each call in seconds when rounds are counted, so that parallel calls certainly overlap."""
_READS = ("GetItem", "Query", "BatchGetItem")
_SOCKET_OPERATIONS = {"POST": "PostToConnection", "DELETE": "DeleteConnection", "GET": "GetConnection"}
_S3_OPERATIONS = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "list-type": "ListObjectsV2",
    "versions": "ListObjectVersions",
    "delete": "DeleteObjects",
}
_GSI = "IndexName"


@dataclass(slots=True)
class Call:
    """One call to AWS: its operation, times (seconds, monotonic clock), and metered units."""

    service: str
    operation: str
    started: float
    ended: float = 0.0
    read_units: float = 0.0
    write_units: float = 0.0
    bytes_sent: int = 0
    item: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The row that a PutItem stored."""

    @property
    def name(self) -> str:
        """Service and operation, as tables show them."""
        return f"{self.service}.{self.operation}"


class Meter:
    """Records every call inside :meth:`recording`."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._recording = False
        self._hold = 0.0

    def install(self) -> None:
        """Record the calls of our clients, of those for the event loop too, and of sockets."""
        DynamoDB._send = _metered_send(self, DynamoDB._send)  # noqa: SLF001 - one attempt is what is charged
        Service._attempt = _metered_attempt(self, Service._attempt)  # noqa: SLF001
        S3._call = _metered_call(self, S3._call)  # noqa: SLF001
        sockets.Sockets._run = _metered_run(self, sockets.Sockets._run)  # noqa: SLF001

    @contextmanager
    def recording(self, hold: float = 0.0) -> Iterator[list[Call]]:
        """Record the calls within the block. Each is delayed by ``hold`` seconds."""
        self._calls, self._hold, self._recording = [], hold, True
        try:
            yield self._calls
        finally:
            self._recording = False

    @property
    def hold(self) -> float:
        """Return the delay of each call, in seconds."""
        return self._hold if self._recording else 0.0

    def begin(self, service: str, operation: str, bytes_sent: int = 0) -> Call | None:
        """Record the start of a call; None when recording is off. The caller delays it by :attr:`hold` seconds."""
        return Call(service, operation, time.monotonic(), bytes_sent=bytes_sent) if self._recording else None

    def end(self, call: Call | None) -> None:
        """Record the end of a call."""
        if call is not None:
            call.ended = time.monotonic()
            with self._lock:
                self._calls.append(call)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing within the block."""
        recording, self._recording = self._recording, False
        try:
            yield
        finally:
            self._recording = recording

    @property
    def is_recording(self) -> bool:
        """Tell whether calls are recorded."""
        return self._recording


def _metered_send(meter: Meter, send: Callable[..., tuple[int, bytes, str]]) -> Callable[..., tuple[int, bytes, str]]:
    def metered(client: DynamoDB, operation: str, body: bytes) -> tuple[int, bytes, str]:
        if not meter.is_recording:
            return send(client, operation, body)
        request: dict[str, Any] = json.loads(body)
        call = meter.begin("dynamodb", operation, len(body))
        time.sleep(meter.hold)
        sent = send(client, operation, json.dumps({**request, "ReturnConsumedCapacity": "TOTAL"}).encode())
        meter.end(call)
        if call is not None:
            _charge(meter, client, call, request, json.loads(sent[1]))
        return sent

    return metered


def _charge(meter: Meter, client: DynamoDB, call: Call, request: dict[str, Any], answer: dict[str, Any]) -> None:
    if call.operation in _READS:
        call.read_units = _read_units(meter, client, call.operation, request, answer)
        return
    consumed = answer.get("ConsumedCapacity") or {"CapacityUnits": 1.0}  # a failed condition is charged too
    tables = consumed if isinstance(consumed, list) else [consumed]
    call.write_units = sum(table["CapacityUnits"] for table in tables)
    call.item = request.get("Item", {})


def _read_units(
    meter: Meter, client: DynamoDB, operation: str, request: dict[str, Any], answer: dict[str, Any]
) -> float:
    """A projection is charged as the whole rows: they are read once more, unmetered, to know their size."""
    if operation == "BatchGetItem":
        rows = [row for table in answer.get("Responses", {}).values() for row in table]
        return sum(read_units([row], consistent=True) for row in rows)
    items = [answer.get("Item", {})] if operation == "GetItem" else answer.get("Items", [])
    if request.pop("ProjectionExpression", None):
        with meter.paused():
            items = client.query(**request)["Items"]
    return read_units(items, consistent=bool(request.get("ConsistentRead")) and _GSI not in request)


def _metered_attempt(meter: Meter, attempt: Callable[..., Any]) -> Callable[..., Any]:
    def metered(service: Service, name: str, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        call = meter.begin(type(service).__name__.lower(), name, len(body))
        time.sleep(meter.hold)
        try:
            return attempt(service, name, path, headers, body)
        finally:
            meter.end(call)

    return metered


def _metered_call(meter: Meter, send: Callable[..., Any]) -> Callable[..., Any]:
    def metered(client: S3, method: str, bucket: str, key: str, **request: Any) -> Any:
        query: Mapping[str, str] = request.get("query") or {}
        listed = next((_S3_OPERATIONS[name] for name in query if name in _S3_OPERATIONS), None)
        call = meter.begin("s3", listed or _S3_OPERATIONS[method], len(request.get("body", b"")))
        time.sleep(meter.hold)
        try:
            return send(client, method, bucket, key, **request)
        finally:
            meter.end(call)

    return metered


def _metered_run(meter: Meter, run: Callable[..., Any]) -> Callable[..., Any]:
    """Record the posts of one round, which are in parallel. The frames of one connection count as parallel too."""

    def metered(target: sockets.Sockets, calls: Sequence[Any]) -> Any:
        begun = [
            meter.begin("post", _SOCKET_OPERATIONS[call.method], len(body)) for call in calls for body in call.bodies
        ]
        time.sleep(meter.hold if begun else 0.0)
        try:
            return run(target, calls)
        finally:
            for call in begun:
                meter.end(call)

    return metered


def rounds(calls: Sequence[Call]) -> list[list[Call]]:
    """Group calls into rounds: the longest chain of calls of which each began after the one before had ended.

    Only meaningful where calls were held, so that parallel ones overlap.
    """
    ends: list[float] = []
    for call in sorted(calls, key=lambda each: each.ended):
        if not ends or call.started >= ends[-1]:
            ends.append(call.ended)
    groups: list[list[Call]] = [[] for _ in ends]
    for call in calls:
        groups[bisect_right(ends, call.started)].append(call)
    return groups
