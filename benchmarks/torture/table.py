"""The table of the torture, and its place in benchmarks/README.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Json = dict[str, Any]
PAGE = Path(__file__).resolve().parent.parent / "README.md"
_DOLLAR = 100_000_000
_MARKS = re.compile(r"(<!-- torture -->\n).*?(<!-- end of torture -->)", re.DOTALL)


def table(results: Sequence[Json]) -> str:
    """Return the figures of several gateways as a table of Markdown."""
    rows = [("", *(result["name"] for result in results)), *(_row(title, results, name) for title, name in _rows())]
    head, *rest = ["| " + " | ".join(row) + " |\n" for row in rows]
    return "".join([head, "|" + " --- |" * len(rows[0]) + "\n", *rest])


def print_torture(console: Console, results: Sequence[Json]) -> None:
    """Print the table to the terminal."""
    shown = Table(title="Budget torture: 500 calls at once on US$1", title_justify="left", title_style="bold")
    shown.add_column("")
    for result in results:
        shown.add_column(result["name"], justify="right")
    for title, name in _rows():
        shown.add_row(*_row(title.replace("**", ""), results, name))
    console.print(shown)


def write(results: Sequence[Json], at: str) -> None:
    """Put the table into the page."""
    text = f"\nMeasured on {at}.\n\n{table(results)}"
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_MARKS.sub(lambda found: found[1] + text + found[2], page), encoding="utf-8")


def _rows() -> Iterator[tuple[str, str]]:
    yield "**overspend**: the provider's bill above US$1", "overspend"
    yield "**leaked holds**, when all calls have ended", "leaked"
    yield "the same, after the leases of killed calls", "leaked_after_leases"
    yield "**false refusals**: small calls that the rest of the dollar would have paid", "calls_refused_falsely"
    yield "the provider's bill after the storm", "bill_after_storm"
    yield "booked after the storm", "booked_after_storm"
    yield "the provider's bill at the end", "bill"
    yield "booked at the end", "booked"
    yield "small calls that were answered after the storm", "calls_after_storm"
    yield "answers to the storm", "statuses"


def _row(title: str, results: Sequence[Json], name: str) -> tuple[str, ...]:
    return (title, *(_cell(name, result.get(name)) for result in results))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        statuses: Json = value
        return ", ".join(f"{count} {status}" for status, count in statuses.items())
    return str(value) if name.startswith("calls") else f"US${value / _DOLLAR:.4f}"
