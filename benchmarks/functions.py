"""The deployed functions, called in this process with their environment on the stage."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.metering import Call, Meter

ROOT = Path(__file__).resolve().parent.parent
Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]


@dataclass(slots=True)
class Invocation:
    """One call of a function: its answer, processor time, AWS calls and log."""

    function: str
    answer: Any
    cpu_ms: float
    wall_ms: float
    log_bytes: int
    calls: list[Call] = field(default_factory=list[Call])

    def json(self) -> Any:
        """Return the JSON body of an HTTP answer; raises an error unless it is a success."""
        body = self.answer["body"]
        if self.answer["statusCode"] >= 300:
            raise RuntimeError(f"{self.function} answered {self.answer['statusCode']}: {body[:200]}")
        raw = base64.b64decode(body) if self.answer.get("isBase64Encoded") else body
        return json.loads(raw) if raw[:1] in ("{", "[", b"{", b"[") else raw


class Functions:
    """Loads ``functions/<name>/handler.py`` and calls it as Lambda would."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._handlers: dict[str, Handler] = {}

    def invoke(self, function: str, event: Event, hold: float = 0.0) -> Invocation:
        """Call a function once. Each of its AWS calls takes ``hold`` more seconds (see :mod:`benchmarks.metering`)."""
        log = StringIO()
        with redirect_stdout(log), self._meter.recording(hold) as calls:
            handler = self._handler(function)
            cpu, wall = time.process_time(), time.perf_counter()
            answer = handler(event, SimpleNamespace(aws_request_id="benchmark"))
            cpu_ms = (time.process_time() - cpu) * 1000
            wall_ms = (time.perf_counter() - wall) * 1000
        return Invocation(function, answer, cpu_ms, wall_ms, len(log.getvalue().encode()), calls)

    def _handler(self, function: str) -> Handler:
        if function not in self._handlers:
            path = ROOT / "functions" / function / "handler.py"
            spec = importlib.util.spec_from_file_location(f"benchmark_{function}", path)
            if spec is None or spec.loader is None:
                raise FileNotFoundError(path)
            os.environ["POWERTOOLS_SERVICE_NAME"] = function
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self._handlers[function] = module.handler
        return self._handlers[function]


def http_event(method: str, path: str, body: Any = None, **query: str) -> Event:
    """Return the event of an HTTP request, as an HTTP API with payload format 2.0 sends it."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in query.items()),
        "queryStringParameters": query,
        "headers": {"host": "127.0.0.1", "accept-encoding": "gzip", "content-type": "application/json"},
        "requestContext": {
            "domainName": "127.0.0.1",
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
            "stage": "$default",
            "requestId": "benchmark",
            "timeEpoch": time.time_ns() // 1_000_000,
        },
        "body": json.dumps(body) if body is not None else "",
        "isBase64Encoded": False,
    }


def socket_event(kind: str, connection: str, message: Any = None) -> Event:
    """Return an event of a WebSocket API: CONNECT, DISCONNECT or MESSAGE."""
    return {
        "requestContext": {
            "eventType": kind,
            "routeKey": {"CONNECT": "$connect", "DISCONNECT": "$disconnect"}.get(kind, "$default"),
            "connectionId": connection,
            "requestId": "benchmark",
            "requestTimeEpoch": time.time_ns() // 1_000_000,
        },
        "queryStringParameters": {"protocol": "live"},
        "headers": {},
        "body": json.dumps(message) if message is not None else "",
        "isBase64Encoded": False,
    }


def stream_event(rows: list[Mapping[str, Any]]) -> Event:
    """Return the event of a table's stream for new rows, without binary values, which no function reads there."""
    images = [{name: value for name, value in row.items() if "B" not in value} for row in rows]
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": str(number)}}
            for number, image in enumerate(images)
        ]
    }


def queue_event(body: str) -> Event:
    """Return the event of a queue with one message."""
    attributes = {"ApproximateReceiveCount": "1"}
    return {"Records": [{"messageId": "1", "receiptHandle": "1", "body": body, "attributes": attributes}]}
