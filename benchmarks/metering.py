"""Count the actual AWS calls of the functions: hooks in botocore, and a metered socket for ``@connections``."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from benchmarks.capacity import read_units
from opencode_cloud.kit import aws, sockets

HOLD_SECONDS = 0.06
"""Delay of each call in seconds when rounds are counted, so that parallel calls certainly overlap."""
_READS = ("GetItem", "Query", "BatchGetItem")
_SOCKET_OPERATIONS = {"POST": "PostToConnection", "DELETE": "DeleteConnection", "GET": "GetConnection"}
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
        self._watched: dict[str, Any] = {}

    def install(self) -> None:
        """Hook into the library's cached clients and its sockets."""
        for service in (aws.dynamodb, aws.s3, aws.sqs, aws.lambda_, aws.secrets_manager, aws.kms):
            self._watch(service())
        sockets.Sockets = _metered_sockets(self)

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

    def _watch(self, client: Any) -> None:
        service: str = client.meta.service_model.service_name
        self._watched[service] = client
        client.meta.events.register("before-parameter-build", self._ask_for_capacity)
        client.meta.events.register("before-call", self._before)
        client.meta.events.register("after-call", self._after)

    def _ask_for_capacity(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        if self._recording:
            context["bench_params"] = dict(params)
            if model.service_model.service_name == "dynamodb":
                params["ReturnConsumedCapacity"] = "TOTAL"

    def _before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        body = params["body"]
        size = body.getbuffer().nbytes if isinstance(body, BytesIO) else len(body or b"")
        context["bench_call"] = self.begin(model.service_model.service_name, model.name, size)
        time.sleep(self.hold)

    def _after(self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        call: Call | None = context.get("bench_call")
        self.end(call)
        if call is None or call.service != "dynamodb":
            return
        params = context["bench_params"]
        if model.name in _READS:
            call.read_units = self._read_units(model.name, params, parsed)
            return
        consumed = parsed.get("ConsumedCapacity") or {"CapacityUnits": 1.0}  # a failed condition is charged too
        tables = consumed if isinstance(consumed, list) else [consumed]
        call.write_units = sum(table["CapacityUnits"] for table in tables)
        call.item = params.get("Item", {})

    def _read_units(self, operation: str, params: dict[str, Any], answer: dict[str, Any]) -> float:
        """A projection is charged as the whole rows: they are read once more, unmetered, to know their size."""
        if operation == "BatchGetItem":
            rows = [row for table in answer.get("Responses", {}).values() for row in table]
            return sum(read_units([row], consistent=True) for row in rows)
        items = [answer.get("Item", {})] if operation == "GetItem" else answer.get("Items", [])
        if params.pop("ProjectionExpression", None):
            recording, self._recording = self._recording, False
            items = self._watched["dynamodb"].query(**params)["Items"]
            self._recording = recording
        return read_units(items, consistent=bool(params.get("ConsistentRead")) and _GSI not in params)


def _metered_sockets(meter: Meter) -> type[sockets.Sockets]:
    class MeteredSockets(sockets.Sockets):
        async def _send(self, method: str, head: bytes, body: bytes) -> sockets.Outcome:
            call = meter.begin("post", _SOCKET_OPERATIONS[method], len(body))
            await asyncio.sleep(meter.hold)
            try:
                return await super()._send(method, head, body)
            finally:
                meter.end(call)

    return MeteredSockets


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
