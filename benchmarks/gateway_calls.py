"""Count the AWS calls of one model call: `functions/gateway` runs in this process, with the deployed environment."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.capacity import item_bytes, read_units
from benchmarks.metering import HOLD_SECONDS, Call, Meter, rounds
from benchmarks.pricing import PriceList, calls_by_name, described_rounds
from opencode_cloud.kit import dynamodb

ROOT = Path(__file__).resolve().parent.parent
Json = dict[str, Any]
WRITE_UNIT_BYTES = 1024
TRANSACTION = 2
"""Write units of a transaction per unit of a single write."""


def install(meter: Meter) -> None:
    """Record the calls of the event loop's client in addition to those of the others."""
    send = dynamodb.AsyncDynamoDB._send  # noqa: SLF001 - one attempt is what is charged; `call` may make several

    async def metered(self: dynamodb.AsyncDynamoDB, operation: str, body: bytes) -> tuple[int, bytes, str]:
        call = meter.begin("dynamodb", operation, len(body))
        await asyncio.sleep(meter.hold)
        try:
            sent = await send(self, operation, body)
        finally:
            meter.end(call)
        if call is not None:
            _charge(call, json.loads(body), json.loads(sent[1]))
        return sent

    dynamodb.AsyncDynamoDB._send = metered  # noqa: SLF001 - see above


def _charge(call: Call, request: Json, answer: Json) -> None:
    """Return DynamoDB's charge. An update counts as a row of up to 1 KB, as all updated rows are."""
    match call.operation:
        case "TransactWriteItems":
            writes: list[Mapping[str, Any]] = [next(iter(each.values())) for each in request["TransactItems"]]
            call.write_units = TRANSACTION * sum(_write_units(write) for write in writes)
        case "PutItem" | "UpdateItem" | "DeleteItem":
            call.write_units = _write_units(request)
        case "BatchGetItem":
            asked = {name: table.get("ConsistentRead", False) for name, table in request["RequestItems"].items()}
            for name, rows in answer.get("Responses", {}).items():
                call.read_units += sum(read_units([row], consistent=asked[name]) for row in rows)
        case "GetItem" | "Query":
            found = [answer.get("Item", {})] if call.operation == "GetItem" else answer.get("Items", [])
            call.read_units = read_units(found, consistent=bool(request.get("ConsistentRead")))
        case _:
            pass


def _write_units(write: Mapping[str, Any]) -> int:
    return max(1, math.ceil(item_bytes(write.get("Item", {})) / WRITE_UNIT_BYTES))


class Counted:
    """The gateway's ASGI application in this process."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._meter = Meter()
        self._meter.install()
        install(self._meter)
        path = ROOT / "functions" / "gateway" / "handler.py"
        spec = importlib.util.spec_from_file_location("benchmark_gateway", path)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._app: Any = module.app
        self._headers = headers

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Begin and end the application as a server does."""
        asked: asyncio.Queue[Json] = asyncio.Queue()
        told: asyncio.Queue[Json] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        running = asyncio.create_task(self._app(scope, asked.get, told.put))
        for phase in ("startup", "shutdown"):
            await asked.put({"type": f"lifespan.{phase}"})
            if (said := await told.get())["type"] != f"lifespan.{phase}.complete":
                raise RuntimeError(f"the gateway's {phase} failed: {said}")
            if phase == "startup":
                yield
        await running

    async def call(self, body: Json, path: str = "/zen/v1/chat/completions") -> Json:
        """Make one call and return its AWS calls, before the first byte and in all."""
        received, first, answer = (
            [{"type": "http.request", "body": json.dumps(body).encode()}],
            list[float](),
            bytearray(),
        )
        status = 0

        async def receive() -> Json:
            if received:
                return received.pop()
            await asyncio.Event().wait()  # the client stays connected until the end
            return {"type": "http.disconnect"}

        async def send(message: Json) -> None:
            nonlocal status
            status = message.get("status", status)
            if message.get("body") and not first:
                first.append(time.monotonic())
            answer.extend(message.get("body", b""))

        cpu = time.process_time()
        with self._meter.recording(HOLD_SECONDS) as calls:
            await self._app(self._scope(path), receive, send)
            await asyncio.sleep(2 * HOLD_SECONDS)  # work after the last byte
        if status != 200:
            raise RuntimeError(f"the gateway answered {status}: {answer[:300]!r}")
        return self._told(list(calls), first[0], (time.process_time() - cpu) * 1000)

    def _told(self, calls: list[Call], first: float, cpu_ms: float) -> Json:
        before = [call for call in calls if call.started < first]
        price = PriceList.read().document["prices"]
        writes, reads = (sum(getattr(call, name) for call in calls) for name in ("write_units", "read_units"))
        million = writes * price["dynamodb_write_units_per_million"] + reads * price["dynamodb_read_units_per_million"]
        return {
            "before_first_byte": described_rounds(before),
            "rounds_before_first_byte": len(rounds(before)),
            "rounds": described_rounds(calls),
            "calls": calls_by_name(calls),
            "write_units": writes,
            "read_units": reads,
            "dynamodb_usd_per_million": round(million, 2),
            "cpu_ms": round(cpu_ms, 2),
        }

    def _scope(self, path: str) -> Json:
        headers = {"host": "127.0.0.1", "content-type": "application/json", **self._headers}
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
