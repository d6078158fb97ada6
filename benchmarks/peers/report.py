"""The results of the part `peers`, as tables and sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers.measuring import HUB, OURS

Json = dict[str, Any]


def print_peers(console: Console, result: Json) -> None:
    """Print our figures beside those of each peer, with the ratios."""
    ours = [name for name in (OURS, HUB) if name in result["systems"]]
    others = [name for name in result["systems"] if name not in ours]
    console.print("[bold]Beside the peers[/]")
    for name, system in result["systems"].items():
        console.print(f"- {name} ({system['about']}): an acknowledged item survives a {system['durability']}.")
    for name, reason in result["unavailable"].items():
        console.print(f"- {name} could not be measured: {reason}", style="red", markup=False)
    _print_latency(console, result["latency"], ours, others)
    _print_rates(console, result["throughput"], ours, others)
    _print_state(console, result["state"], ours, others)
    _print_processor(console, result["latency"])
    for sentence in _sentences(result):
        console.print(f"- {sentence}")
    console.print()


def _print_latency(console: Console, rows: list[Json], ours: list[str], others: list[str]) -> None:
    table = _table("Publish -> received, milliseconds, p50 / p99; ratio of the p50s", "viewers", ours, others)
    for row in rows:
        cells = _cells(row["systems"], ours, others, lambda found: found["received"]["p50_ms"], _received)
        table.add_row(f"{row['viewers']:,}", *cells)
    console.print(table)
    for row in rows:
        for name, found in row["systems"].items():
            if found["missing"]:
                console.print(f"  {name}, {row['viewers']:,} viewers: {found['missing']} receipts are missing.")


def _print_rates(console: Console, rows: list[Json], ours: list[str], others: list[str]) -> None:
    table = _table("Commits a second, closed loop, 16 publishers; ratio above 1 is better", "shares", ours, others)
    for row in rows:
        cells = _cells(row["systems"], ours, others, lambda found: found["commits_per_second"], _rate)
        table.add_row(str(row["shares"]), *cells)
    console.print(table)


def _print_state(console: Console, result: Json, ours: list[str], others: list[str]) -> None:
    table = _table("Connect -> full state, milliseconds and bytes; ratio of the times", "items", ours, others)
    cells = _cells(result["systems"], ours, others, lambda found: found["p50_ms"], _state)
    table.add_row(f"{result['items']:,}", *cells)
    console.print(table)


def _print_processor(console: Console, rows: list[Json]) -> None:
    for row in rows:
        spent = {name: sum(found["cpu_ms_per_update"].values()) for name, found in row["systems"].items()}
        each = ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in spent.items())
        console.print(f"  Processor time per update, viewers {row['viewers']:,}: {each}.")


def _sentences(result: Json) -> list[str]:
    return [
        *(_on_order(name, found) for name, found in result["order"].items()),
        *(_on_stall(name, found) for name, found in result["stall"].items()),
        *(
            f"{name}, killed while publishing: {found['lost']} of {found['acknowledged']:,} acknowledged items lost."
            for name, found in result["killed"].items()
        ),
    ]


def _on_order(name: str, found: Json) -> str:
    return (
        f"{name}, {found['in_flight']} publications of one item in flight (of which {found['overlapping']:g} were sent "
        f"before the first answer): an older one was stored in {found['older_stored']} of {found['rounds']} rounds, "
        f"and a viewer was left with another than the stored one in {found['viewer_differs']}."
    )


def _on_stall(name: str, found: Json) -> str:
    verdicts = {True: "bounded", False: "[bold]not bounded[/]", None: "not judged, because too little was sent"}
    bounded = verdicts[found["bounded"]]
    ended = "; the server ended its socket" if found["ended_by_server"] else ""
    return (
        f"{name}, a reader that stalls: memory is {bounded}. It grew by {found['growth_mb']:.0f} MB for "
        f"{found['megabytes_sent']:.0f} MB of unread updates, and by {found['growth_without_mb']:.0f} MB without the "
        f"reader. The reader then received {found['received_afterwards']:,} of {found['updates']:,}{ended}."
    )


def _cells(
    systems: Mapping[str, Json],
    ours: list[str],
    others: list[str],
    figure: Callable[[Json], float],
    show: Callable[[Json], str],
) -> list[str]:
    """Return the cells of a row: our figures, then each peer's, with our last one as a multiple of it."""
    cells = [show(systems[name]) for name in ours]
    compared = figure(systems[ours[-1]])
    for name in others:
        other = figure(systems[name])
        cells += [show(systems[name]), f"{compared / other:.2f} x" if other else ""]
    return cells


def _table(title: str, first: str, ours: list[str], others: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for column in (*ours, *(column for name in others for column in (name, f"{ours[-1]} / it"))):
        table.add_column(column, justify="right")
    return table


def _received(found: Json) -> str:
    received = found["received"]
    followed = "" if found["rate"] >= 0.9 * found["rate_wanted"] else f" at {found['rate']:.0f}/s"
    return f"{received['p50_ms']:.1f} / {received['p99_ms']:.1f}{followed}"


def _rate(found: Json) -> str:
    return f"{found['commits_per_second']:,.0f}"


def _state(found: Json) -> str:
    return f"{found['p50_ms']:.0f}, {found['bytes'] / 1e6:.1f} MB"
