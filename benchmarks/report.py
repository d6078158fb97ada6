"""Tables of a result, with the published figures of the original and the emulator's share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import anchors
from benchmarks.gateway_report import print_gateway
from benchmarks.lighthouse.report import print_lighthouse
from benchmarks.many_streams.report import print_many_streams
from benchmarks.peers.report import print_peers
from benchmarks.torture.table import print_torture
from benchmarks.verdict import shares_of_time, verdict

Json = dict[str, Any]
QUIET_SHARE = 0.15
TARGET_USD = 1.0
"""Target cost of a million updates in batches of ten, in US dollars (docs/deploy.md, "What it costs")."""

DURABLE = {"disk": "writes survive a power cut", "process": "writes survive a killed process"}


def print_report(console: Console, result: Json) -> None:
    """Print the result without parts that were not run."""
    printers: dict[str, Callable[[Console, Any], None]] = {
        "latency": print_latency,
        "item_sizes": print_item_sizes,
        "throughput": print_throughput,
        "state": print_states,
        "long_page": print_long_pages,
        "lighthouse": print_lighthouse,
        "redaction": print_redaction,
        "accounting": print_accounting,
        "team": print_team,
        "gateway": print_gateway,
        "many_streams": print_many_streams,
        "torture": print_torture,
        "peers": print_peers,
    }
    for name, print_part in printers.items():
        if name in result:
            print_part(console, result[name])
    if "latency" in result and "accounting" in result:
        print_shares_of_time(console, result["latency"], result["accounting"])
    print_memory(console, result)
    if sentences := verdict(result):
        console.print("[bold]Where we stand[/] (local stage against the original, one process on its own disk)")
    for sentence in sentences:
        console.print(f"- {sentence}")
    for name, failure in result["failures"].items():
        console.print(f"[bold red]{name} failed[/]: {failure}", markup=True)
    machine = result["machine"]
    console.print(
        f"\n[dim]{result['at']}, commit {result['commit']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{DURABLE[result.get('durability', 'disk')]}, "
        f"load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after, {result['seconds']:.0f} s.\n"
        f"Original: {anchors.SOURCE}.[/]"
    )
    _print_noise(console, result["others_share"])


def print_latency(console: Console, rows: Sequence[Json]) -> None:
    """Print publish -> received by number of viewers."""
    table = _table("Publish -> received, milliseconds", "viewers", "rate/s", "ours p50", "p99", "floor p50", "p99")
    for column in ("original p50", "p99", "ours / original"):
        table.add_column(column, justify="right")
    for row in rows:
        ours, beside = row["ours"], row["floor"]
        original = anchors.RECEIVED.get(row["viewers"])
        p50 = ours["received"]["p50_ms"]
        table.add_row(
            f"{row['viewers']:,}",
            _rate(ours),
            *_percentiles(ours["received"]),
            *_percentiles(beside["received"]),
            *((f"{original[0]}", f"{original[1]}", f"{p50 / original[0]:.1f} x") if original else ("", "", "")),
        )
    console.print(table)
    _print_caveats(console, [row["ours"] for row in rows])
    for row in rows:
        spent = row["ours"]["cpu_ms_per_update"]
        each = ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in spent.items())
        console.print(f"  Processor time per update, viewers {row['viewers']:,}: {each}.")


def print_item_sizes(console: Console, rows: Sequence[Json]) -> None:
    """Print publish -> received by size of the item; above 32 KB each viewer fetches the body."""
    table = _table("By size of the item, 5 viewers, milliseconds", "bytes", "rate/s", "ours p50", "p99")
    for column in ("floor p50", "p99", "original p50", "ours / original"):
        table.add_column(column, justify="right")
    for row in rows:
        ours = row["ours"]
        original = anchors.ITEM_MS.get(row["size"])
        ratio = f"{ours['received']['p50_ms'] / original:.1f} x" if original else ""
        table.add_row(
            f"{row['size']:,}",
            _rate(ours),
            *_percentiles(ours["received"]),
            *_percentiles(row["floor"]["received"]),
            f"{original or ''}",
            ratio,
        )
    console.print(table)
    _print_caveats(console, [row["ours"] for row in rows])


def print_redaction(console: Console, result: Json) -> None:
    """Print the processor time of the search for secrets."""
    target = result["target_ms"]
    table = _table(f"Redaction, processor time for 100 KB, milliseconds (target {target:.0f})", "text", "item bytes")
    for column in ("p50", "p99", "found"):
        table.add_column(column, justify="right")
    for row in result["rows"]:
        table.add_row(row["text"], f"{row['bytes']:,}", *_percentiles(row), str(row["found"]))
    console.print(table)
    console.print(f"  The first use in a process takes {result['first_ms']:.0f} ms.")


def print_throughput(console: Console, rows: Sequence[Json]) -> None:
    """Print commits a second."""
    table = _table("Commits a second, closed loop, 1 KB", "publishers", "shares", "ours", "floor", "original")
    for column in ("ours / original", "ack p50 ms", "p99", "slowest / fastest"):
        table.add_column(column, justify="right")
    for row in rows:
        anchor = anchors.COMMITS_ONE_SHARE if row["shares"] == 1 else anchors.COMMITS_MANY_SHARES
        original = anchor.get(row["publishers"])
        table.add_row(
            str(row["publishers"]),
            str(row["shares"]),
            f"{row['commits_per_second']:.0f}",
            f"{row['floor_per_second']:.0f}",
            f"{original:.0f}" if original else "",
            f"{row['commits_per_second'] / original:.2f} x" if original else "",
            *_percentiles(row["acknowledged"]),
            f"{row['slowest_publisher']} / {row['fastest_publisher']}",
        )
    console.print(table)


def print_long_pages(console: Console, pages: Sequence[Json]) -> None:
    """Print the page of long sessions, with its targets."""
    columns = (
        ("MB", "published_mb"),
        ("first byte, ms", "first_byte_ms"),
        ("first paint, ms", "first_paint_ms"),
        ("live, ms", "live_ms"),
        ("bytes", "bytes"),
        ("tab, MB", "tab_mb"),
        ("longest task, ms", "longest_task_ms"),
        ("frame p99, ms", "frame_p99_ms"),
        ("link, ms", "link_ms"),
        ("search, ms", "search_ms"),
    )
    table = _table(
        "Page of a long session (targets: first paint 1,500 ms, tab 300 MB)", "parts", *(c[0] for c in columns)
    )
    for page in pages:
        table.add_row(f"{page['parts']:,}", *(f"{page[key]:,.0f}" for _, key in columns))
    console.print(table)


def print_states(console: Console, result: Json) -> None:
    """Print connect -> full state, and reconnects."""
    table = _table("Connect -> full state (1 KB items)", "items", "ms p50", "bytes", "documents", "with our client, ms")
    for column in ("original ms", "bytes", "ours / original"):
        table.add_column(column, justify="right")
    for row in result["states"]:
        original, size = anchors.STATE_MS.get(row["items"]), anchors.STATE_BYTES.get(row["items"])
        table.add_row(
            f"{row['items']:,}",
            f"{row['p50_ms']:.0f}",
            f"{row['bytes']:,}",
            str(row["documents"]),
            f"{row['client_ms']:.0f}",
            f"{original or ''}",
            f"{size:,}" if size else "",
            f"{row['p50_ms'] / original:.1f} x" if original else "",
        )
    console.print(table)
    if reconnect := result["reconnect"]:
        frames, changed = anchors.REDUNDANT_FRAMES
        console.print(
            f"Reconnect after {reconnect['missed']} missed updates of {reconnect['items_of_share']:,}: "
            f"[bold]{reconnect['p50_ms']:.0f} ms, {reconnect['bytes']:,} bytes[/], "
            f"{reconnect['received_items']} items. "
            f"The original has no cursor: it resent {frames:,} frames for {changed} changed keys.\n"
        )


def print_accounting(console: Console, result: Json) -> None:
    """Print calls and cost of every operation."""
    table = _table("AWS calls and list price of every operation", "operation")
    table.add_column("sequential rounds", ratio=1)
    for column in ("write units", "read units", "own CPU ms", "US$/million", "per item"):
        table.add_column(column, justify="right")
    for row in result["operations"]:
        table.add_row(
            row["operation"],
            " [dim]->[/] ".join(row["rounds"]) or "none",
            f"{row['write_units']:g}",
            f"{row['read_units']:g}",
            f"{row['cpu_ms']:.1f}",
            f"{row['usd_per_million']['total']:.2f}",
            f"{row['usd_per_million_items']:.2f}" if row["items"] > 1 else "",
        )
    console.print(table)
    _print_session(console, result["session"], result["prices"])
    _print_transaction(console, result["emulator"])


def print_team(console: Console, result: Json) -> None:
    """Print the console plane: latencies, calls and statements of every operation, cold starts."""
    table = _table("The console plane, through the front door, milliseconds", "request", "count", "p50", "p99")
    for name, row in result["latency"].items():
        table.add_row(name, str(row["count"]), *_percentiles(row))
    console.print(table)
    table = _table("AWS calls and SQL statements of every operation", "operation", "SQL statements", "own CPU ms")
    table.add_column("sequential rounds of AWS calls", ratio=1)
    for row in result["operations"]:
        rounds = " [dim]->[/] ".join(row["rounds"]) or "none"
        table.add_row(row["operation"], str(row["sql"]), f"{row['cpu_ms']:.1f}", rounds)
    console.print(table)
    table = _table(
        "Cold starts: a fresh process on this machine", "function", "imports ms", "process ms", "MB", "modules"
    )
    for row in result["cold_starts"]:
        figures = (row["import_ms"], row["process_ms"], row["memory_mb"])
        table.add_row(row["function"], *(f"{figure:.0f}" for figure in figures), str(row["modules"]))
    console.print(table)


def _print_session(console: Console, session: Json, prices: Json) -> None:
    costs = session["usd_per_million_updates"]
    table = _table(
        f"One million updates: {session['what']}", "US$ at list price", "on the path", "behind it", "together"
    )
    for line in costs["sum"]["lines"]:
        table.add_row(line, *(f"{costs[part]['lines'].get(line, 0):.3f}" for part in ("path", "behind", "sum")))
    total = costs["sum"]["total"]
    table.add_section()
    table.add_row("total", *(f"{costs[part]['total']:.3f}" for part in ("path", "behind", "sum")))
    console.print(table)
    verdict = "[green]under[/]" if total < TARGET_USD else "[red]over[/]"
    console.print(
        f"US${total:.2f} is {verdict} the target of US${TARGET_USD:.2f}. "
        f"{session['stored_bytes_per_item']} bytes are stored per update; each viewer adds "
        f"US${session['usd_per_million_updates_per_viewer']:.2f} and egress; the CDN's requests add "
        f"US${costs['sum']['edge']:.2f} beyond its free ten million a month.\n"
        f"[dim]Prices: {prices['region']}, {prices['date']}. {prices['source']}\n{prices['assumptions']['note']}[/]\n"
    )


def _print_transaction(console: Console, measured: Json) -> None:
    against = measured["transaction_against_put"]
    console.print(
        f"A transaction (META advances, record put) instead of our single conditional put takes "
        f"[bold]{against['latency_ratio']} x[/] as long on the emulator and {against['write_units_transaction']:g} "
        f"write units instead of {against['write_units_put']:g}, for a record of less than 1 KB.\n"
    )


def print_shares_of_time(console: Console, latency: Sequence[Json], accounting: Json) -> None:
    """Print the emulator's part and our part of one update's time to one viewer."""
    one = next((row for row in latency if row["viewers"] == 1), None)
    if one is None:
        return
    parts = shares_of_time(one, accounting)
    table = _table("One update to one viewer, by part", "part", "ms", "how it was found")
    for name, (value, source) in parts.items():
        table.add_row(name, f"{value:.2f}", source)
    console.print(table)


def print_memory(console: Console, result: Mapping[str, Any]) -> None:
    """Print the memory of the stage's processes at each measurement."""
    looks = {name.removeprefix("memory_"): value for name, value in result.items() if name.startswith("memory_")}
    if not looks:
        return
    table = _table("Resident memory, MB", "when", "emulator", "function workers", "(number)", "front door")
    for when, look in looks.items():
        workers, number = f"{look['function workers']:.0f}", str(look["workers"])
        table.add_row(when.replace("_", " "), f"{look['emulator']:.0f}", workers, number, f"{look['front door']:.0f}")
    console.print(table)
    original = ", ".join(f"{size} MB {when}" for when, size in anchors.MEMORY_MB.items())
    console.print(f"Original: {original}. The emulator holds all tables in memory, and a worker is a whole Python.\n")


def _print_caveats(console: Console, rows: Sequence[Json]) -> None:
    for row in rows:
        if row["rate"] < 0.9 * row["rate_wanted"]:
            console.print(
                f"  Viewers {row['viewers']:,}, {row['size']:,} bytes: published at {row['rate']:g}/s, as the emulator "
                f"on this machine does not follow {row['rate_wanted']:g}/s.",
                style="yellow",
            )
        if row["missing"]:
            console.print(f"  {row['viewers']:,} viewers: {row['missing']} receipts were missing.", style="red")


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="left" if column in ("how it was found",) else "right")
    return table


def _print_noise(console: Console, shares: Mapping[str, float]) -> None:
    console.print(f"[dim]Share of the cores that other programs used meanwhile: {_others(shares)}.[/]")
    loud = [name for name, share in shares.items() if share > QUIET_SHARE and not name.startswith("memory_")]
    if loud:
        console.print(f"[yellow]The machine was not quiet: times of {', '.join(loud)} are not to be quoted.[/]")


def _others(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in shares.items())


def _percentiles(row: Json) -> tuple[str, str]:
    return f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}"


def _rate(row: Json) -> str:
    return f"{row['rate']:.1f}" if row["rate"] < 10 else f"{row['rate']:.0f}"
