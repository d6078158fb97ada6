"""The results of the part `gateway`, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

Json = dict[str, Any]
TARGET_MS = 30.0
"""Target for latency added to the first byte at the 99th percentile, at 50 concurrent streams."""
TARGET_RATIO = 0.5
"""Target for our added latency, as a share of LiteLLM's."""


def print_gateway(console: Console, result: Json) -> None:
    """Print latency, throughput, memory, and the AWS calls of a model call."""
    _print_latency(console, result)
    _print_costs(console, result)
    _print_calls(console, result["calls"])
    for sentence in on_gateway(result):
        console.print(f"- {sentence}")


def added(result: Json, who: str, what: str, percentile: str) -> float:
    """Return the added milliseconds of a target: its percentile less that of direct calls to the upstream."""
    latency = result["latency"]
    return latency[who][what][percentile] - latency["direct"][what][percentile]


def on_gateway(result: Json) -> Iterator[str]:
    """Yield the comparison with the targets."""
    ours, theirs = (added(result, who, "first", "p99_ms") for who in ("ours", "LiteLLM"))
    reached = "reached" if ours < TARGET_MS else "missed"
    yield f"p99 of what we add to the first byte: {ours:.1f} ms; the target of {TARGET_MS:g} ms is {reached}."
    reached = "reached" if ours < TARGET_RATIO * theirs else "missed"
    yield (
        f"LiteLLM {result['litellm']['version']} adds {theirs:.1f} ms without asking any store (ours asks the "
        f"emulator's): the target of less than half of it is {reached}, with {ours / theirs:.2f} of it."
    )
    calls = result["calls"]["streamed"]
    yield (
        f"Before the first byte: {calls['rounds_before_first_byte']} sequential calls to AWS "
        f"({', then '.join(calls['before_first_byte'])}); {len(calls['rounds'])} in all."
    )


def _print_latency(console: Console, result: Json) -> None:
    plan = result["plan"]
    table = Table(
        title=f"Model calls: {plan['concurrency']} concurrent streams, medians of {plan['rounds']} rounds, ms",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("")
    for column in ("first byte p50", "p99", "added p50", "p99", "later piece p50", "p99", "added p50", "p99"):
        table.add_column(column, justify="right")
    for who in ("direct", "ours", "LiteLLM"):
        found = result["latency"][who]
        cells: list[str] = []
        for what in ("first", "pieces"):
            cells += [f"{found[what][name]:.2f}" for name in ("p50_ms", "p99_ms")]
            more = [f"{added(result, who, what, name):.2f}" for name in ("p50_ms", "p99_ms")]
            cells += ["", ""] if who == "direct" else more
        table.add_row(who, *cells)
    console.print(table)
    emulator = result["latency"]["emulator"]["first"]
    console.print(
        f"The emulator takes {emulator['p50_ms']:.1f} ms (p50) and {emulator['p99_ms']:.1f} ms (p99) of our latency "
        "to the first byte, measured by a bare client with calls of the same kind.\n"
    )


def _print_costs(console: Console, result: Json) -> None:
    table = Table(title="Resources for serving", title_justify="left", title_style="bold")
    table.add_column("")
    columns = ("short calls/s", "per second of processor", "ms of processor a stream", "idle MB", "KB per open stream")
    for column in columns:
        table.add_column(column, justify="right")
    idle = {"ours": result["idle_mb"], "LiteLLM": result["litellm"]["idle_mb"]}
    for who, rate in result["short_calls"].items():
        table.add_row(
            who,
            f"{rate['per_second']:.0f}",
            f"{rate['per_core_second']:.0f}",
            f"{result['latency'][who]['cpu_ms_per_call']:.1f}",
            f"{idle[who]:.0f}",
            f"{result['memory'][who]['kb_per_stream']:.0f}",
        )
    console.print(table)
    litellm = result["litellm"]
    console.print(
        f"LiteLLM's proxy answers {litellm['start_ms'] / 1000:.1f} s after its start; importing it takes "
        f"{litellm['import_ms'] / 1000:.1f} s.\n"
    )


def _print_calls(console: Console, calls: Json) -> None:
    table = Table(title="AWS calls of one model call", title_justify="left", title_style="bold")
    for column in ("call", "before the first byte", "afterwards"):
        table.add_column(column)
    for column in ("write units", "read units", "DynamoDB, US$ per million", "own processor ms"):
        table.add_column(column, justify="right")
    for name, each in calls.items():
        before = each["before_first_byte"]
        table.add_row(
            name,
            ", then ".join(before) or "nothing",
            ", then ".join(each["rounds"][len(before) :]),
            f"{each['write_units']:g}",
            f"{each['read_units']:g}",
            f"{each['dynamodb_usd_per_million']:.2f}",
            f"{each['cpu_ms']:.1f}",
        )
    console.print(table)
