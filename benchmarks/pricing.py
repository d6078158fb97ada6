"""From counted calls to list prices (`prices.json` holds the facts, their date and their source)."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.functions import Invocation
from benchmarks.metering import Call, rounds

PRICES = Path(__file__).with_name("prices.json")
MEMORY_MB = {"share": 1769, "live": 1024, "deliver": 1024, "snapshot": 1769, "purge": 1024}
_S3_PUT_CLASS = ("PutObject", "ListObjectVersions", "ListObjectsV2", "CopyObject")
_S3_FREE = ("DeleteObject", "DeleteObjects")
_MILLION = 1_000_000

Trigger = Literal["http", "socket", "none"]


@dataclass(slots=True)
class Cost:
    """US dollars per million operations at list price, by line. ``egress`` is separate: it depends on readers."""

    lines: dict[str, float] = field(default_factory=dict[str, float])
    edge: float = 0.0
    egress: float = 0.0

    @property
    def total(self) -> float:
        """The sum of all lines, without edge and egress."""
        return sum(self.lines.values())

    def plus(self, other: Cost, times: float = 1.0) -> Cost:
        """Return the sum of this and ``times`` the other."""
        names = {**self.lines, **other.lines}
        lines = {name: self.lines.get(name, 0.0) + times * other.lines.get(name, 0.0) for name in names}
        return Cost(lines, self.edge + times * other.edge, self.egress + times * other.egress)

    def per(self, operations: float) -> Cost:
        """Return the cost of a part: this divided by ``operations``."""
        return Cost().plus(self, 1 / operations)

    def as_json(self) -> dict[str, Any]:
        """Return the figures, rounded to their precision."""
        lines = {name: round(value, 4) for name, value in self.lines.items() if value}
        return {
            "total": round(self.total, 4),
            "lines": lines,
            "edge": round(self.edge, 4),
            "egress": round(self.egress, 4),
        }


class PriceList:
    """The prices of one region at one date, and the assumptions."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._prices: Mapping[str, float] = document["prices"]
        self._assumed: Mapping[str, Any] = document["assumptions"]

    @classmethod
    def read(cls) -> PriceList:
        """Read ``prices.json``."""
        return cls(json.loads(PRICES.read_text()))

    @property
    def publishes_per_window(self) -> int:
        """Number of publishes of one share that one invocation of ``snapshot`` handles."""
        return self._assumed["publishes_per_stream_window"]

    def cost(self, invocation: Invocation, trigger: Trigger, request_bytes: int = 0) -> Cost:
        """Return the cost of one invocation with all of its calls, per million invocations."""
        price = self._prices
        lines: defaultdict[str, float] = defaultdict(float)
        if trigger == "http":
            lines["gateway"] += (
                _metered(request_bytes, price["http_api_metering_bytes"]) * price["http_api_requests_per_million"]
            )
        if trigger == "socket":
            lines["gateway"] += self.message(request_bytes)
        lines["lambda requests"] += price["lambda_requests_per_million"]
        lines["lambda time"] += self._lambda_time(invocation)
        log_bytes = invocation.log_bytes + self._assumed["platform_log_bytes_per_invocation"]
        lines["logs"] += log_bytes / 1e9 * price["logs_per_gb"] * _MILLION
        for call in invocation.calls:
            self._add_call(lines, call)
        sent = sum(call.bytes_sent for call in invocation.calls if call.service == "post") + _answer_bytes(invocation)
        edge = price["cloudfront_https_requests_per_million"] if trigger == "http" else 0.0
        return Cost(dict(lines), edge, sent / 1e9 * price["egress_per_gb"] * _MILLION)

    def _add_call(self, lines: defaultdict[str, float], call: Call) -> None:
        price = self._prices
        match call.service:
            case "dynamodb":
                lines["dynamodb writes"] += call.write_units * price["dynamodb_write_units_per_million"]
                lines["dynamodb reads"] += call.read_units * price["dynamodb_read_units_per_million"]
            case "s3" if call.operation not in _S3_FREE:
                kind = "put" if call.operation in _S3_PUT_CLASS else "get"
                lines[f"s3 {kind}"] += price[f"s3_{kind}_class_per_million"]
            case "post" if call.operation == "PostToConnection":
                lines["messages to viewers"] += self.message(call.bytes_sent)
            case "sqs":
                lines["queue"] += price["sqs_requests_per_million"] * 3  # send here; receive and delete by the trigger
            case "lambda":
                lines["lambda requests"] += price["lambda_requests_per_million"]
            case _:
                pass

    def message(self, size: int) -> float:
        """Return the price of a million messages of ``size`` bytes over the WebSocket API, in or out."""
        metered = _metered(size, self._prices["websocket_metering_bytes"])
        return metered * self._prices["websocket_messages_per_million"]

    def _lambda_time(self, invocation: Invocation) -> float:
        waiting = sum(max(map(self._milliseconds, group)) for group in rounds(invocation.calls))
        gb_seconds = MEMORY_MB[invocation.function] / 1024 * (waiting + invocation.cpu_ms) / 1000
        return gb_seconds * self._prices["lambda_gb_second"] * _MILLION

    def _milliseconds(self, call: Call) -> float:
        return self._assumed["milliseconds_per_round"].get(call.service, 5)


def calls_by_name(calls: Iterable[Call]) -> dict[str, int]:
    """Return the number of calls of each operation."""
    return dict(Counter(call.name for call in calls))


def described_rounds(calls: Sequence[Call]) -> list[str]:
    """Return the sequential rounds of calls in words: ``10 x PostToConnection + Query``."""
    return [
        " + ".join(
            f"{count} x {name}" if count > 1 else name
            for name, count in Counter(call.operation for call in group).items()
        )
        for group in rounds(calls)
    ]


def _answer_bytes(invocation: Invocation) -> int:
    answer = invocation.answer
    return len(answer.get("body") or "") if isinstance(answer, dict) else 0


def _metered(size: int, unit: float) -> int:
    return max(1, math.ceil(size / unit))
