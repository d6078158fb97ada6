"""A whole session with the stream behind it: the cost of one update on and off its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.functions import Functions, Invocation, http_event, stream_event
from benchmarks.metering import Call
from benchmarks.pricing import Cost, PriceList, calls_by_name
from benchmarks.shares import BATCH, ITEM_BYTES, Shared
from benchmarks.summary import percentile

Json = dict[str, Any]


def publish_session(functions: Functions, prices: PriceList, share: Shared, publishes: int) -> Json:
    """Publish batches of ten new items, fold them as the stream would, and return the cost per update.

    All items are new, which is the worst case for snapshots: nothing they hold is ever superseded.
    """
    path, behind = Cost(), Cost()
    published: list[Invocation] = []
    streamed: list[Invocation] = []
    window: list[Mapping[str, Any]] = []
    for number in range(1, publishes + 1):
        event = share.sync(share.batch(BATCH))
        published.append(functions.invoke("share", event))
        path = path.plus(prices.cost(published[-1], "http", len(event["body"])))
        window += _log_rows(published[-1].calls)
        if number % prices.publishes_per_window == 0:
            streamed.append(functions.invoke("snapshot", stream_event(window)))
            behind = behind.plus(prices.cost(streamed[-1], "none"))
            window.clear()
    items = publishes * BATCH
    return {
        "what": f"{publishes} publishes of {BATCH} new items of {ITEM_BYTES} bytes of text",
        "stored_bytes_per_item": round(_stored_bytes(published) / items),
        "write_units_per_item": _total(published, "write_units") / items,
        "read_units_per_item": round((_total(published, "read_units") + _total(streamed, "read_units")) / items, 4),
        "s3_calls_per_item": _count(streamed, "s3") / items,
        "cpu_ms_per_publish": _cpu(published),
        "cpu_ms_per_stream_window": _cpu(streamed),
        "calls_behind_the_path": calls_by_name(call for each in streamed for call in each.calls),
        "usd_per_million_updates": {
            "path": path.per(items).as_json(),
            "behind": behind.per(items).as_json(),
            "sum": path.plus(behind).per(items).as_json(),
        },
        "usd_per_million_updates_per_viewer": round(prices.message(BATCH * (ITEM_BYTES + 250)) / BATCH, 4),
    }


def processor_time(functions: Functions, share: Shared, repetitions: int) -> Json:
    """Return the functions' own processor time per operation, in milliseconds, without the emulator."""
    events = {
        "health": lambda: ("share", http_event("GET", "/health")),
        "sync 1 item of 1 KB": lambda: ("share", share.sync(share.batch(1, 1024))),
        "sync 10 items of 2 KB": lambda: ("share", share.sync(share.batch(BATCH))),
    }
    return {
        name: _cpu([functions.invoke(*event()) for _ in range(repetitions)][repetitions // 10 :])
        for name, event in events.items()
    }


def _log_rows(calls: Sequence[Call]) -> list[Mapping[str, Any]]:
    return [call.item for call in calls if call.item.get("sk", {}).get("S", "").startswith("L#")]


def _stored_bytes(invocations: Sequence[Invocation]) -> int:
    rows = [row for each in invocations for row in _log_rows(each.calls)]
    return sum(len(row["payload"]["B"]) for row in rows if "payload" in row)


def _total(invocations: Sequence[Invocation], name: str) -> float:
    return sum(getattr(call, name) for each in invocations for call in each.calls)


def _count(invocations: Sequence[Invocation], service: str) -> int:
    return sum(call.service == service for each in invocations for call in each.calls)


def _cpu(invocations: Sequence[Invocation]) -> dict[str, float]:
    values = [each.cpu_ms for each in invocations]
    return {"p50_ms": round(percentile(values, 50), 3), "mean_ms": round(sum(values) / max(1, len(values)), 3)}
