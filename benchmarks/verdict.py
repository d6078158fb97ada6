"""The comparison with the original, in sentences; and the parts of an update's time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import anchors

Json = dict[str, Any]


def verdict(result: Json) -> list[str]:
    """Return this run's comparison with the original."""
    return [
        *_on_latency(result.get("latency", []), result.get("accounting")),
        *_on_throughput(result.get("throughput", [])),
        *_on_states(result.get("state")),
    ]


def shares_of_time(one: Json, accounting: Json) -> dict[str, tuple[float, str]]:
    """Split the median of publish -> received. ``one`` is the row for a single viewer."""
    calls, idle = accounting["emulator"]["calls"], accounting["emulator"]["idle function"]
    cpu = accounting["processor_time"]
    path = ("query of the head", "conditional put", "post to a connection")
    gateway = idle["front door"]["p50_ms"] - cpu["health"]["p50_ms"]
    waiting = sum(calls[name]["p50_ms"] - calls[name]["client_cpu_ms"] for name in path)
    ours = cpu["sync 1 item of 1 KB"]["p50_ms"]
    total = one["ours"]["received"]["p50_ms"]
    return {
        "measured": (total, "publish -> received p50, 1 viewer"),
        "floor": (one["floor"]["received"]["p50_ms"], "the same client, nothing stored"),
        "emulator: gateway and Lambda": (gateway, "GET /health through the front door, less its own processor time"),
        "emulator: DynamoDB, @connections": (
            waiting,
            "query, put and post one by one, less the client's processor time",
        ),
        "ours: processor time": (ours, "the function's own, botocore included (some of it after the post)"),
        "the rest": (total - gateway - waiting - ours, "contention for two cores; negative: our work overlaps"),
    }


def _on_latency(rows: Sequence[Json], accounting: Json | None) -> Iterator[str]:
    known = [row for row in rows if row["viewers"] in anchors.RECEIVED]
    ratios = {row["viewers"]: row["ours"]["received"]["p50_ms"] / anchors.RECEIVED[row["viewers"]][0] for row in known}
    if not ratios:
        return
    each = ", ".join(f"{_against(ratio)} at {viewers:,}" for viewers, ratio in ratios.items())
    yield f"Publish -> received, by viewers: {each}."
    one = next((row for row in known if row["viewers"] == 1), None)
    if one and accounting:
        parts = shares_of_time(one, accounting)
        total = parts["measured"][0]
        emulator = sum(value for name, (value, _) in parts.items() if name.startswith("emulator"))
        ours = parts["ours: processor time"][0]
        yield (
            f"One viewer waits {total:.1f} ms: {emulator:.1f} ms ({emulator / total:.0%}) are the emulator's and "
            f"{ours:.1f} ms ({ours / total:.0%}) our functions' own CPU time."
        )


def _on_throughput(rows: Sequence[Json]) -> Iterator[str]:
    for row in rows:
        original = anchors.COMMITS_ONE_SHARE.get(row["publishers"]) if row["shares"] == 1 else None
        if original and row["publishers"] > 1:
            yield (
                f"Commits on one share: {row['commits_per_second']:.0f}/s against {original:.0f}/s; the emulator runs "
                "functions, gateway and database on the same two cores, so this measures them and not AWS."
            )


def _on_states(state: Json | None) -> Iterator[str]:
    if not state:
        return
    for row in state["states"]:
        original, size = anchors.STATE_MS.get(row["items"]), anchors.STATE_BYTES.get(row["items"])
        if original and size:
            yield (
                f"{row['items']:,} items: {_against(row['p50_ms'] / original)}, and {row['bytes'] / size:.2f} x the "
                "bytes (ours compressed prose; theirs was sent as it was)."
            )
    if reconnect := state["reconnect"]:
        yield f"Reconnect: ours sends {reconnect['received_items']} items, the original everything again."


def _against(ratio: float) -> str:
    return f"{ratio:.1f} x slower" if ratio > 1 else f"{1 / ratio:.1f} x faster"
