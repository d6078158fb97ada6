"""The results of the part `many_streams` as a table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

Json = dict[str, Any]


def print_many_streams(console: Console, result: Json) -> None:
    """Print the lateness of pieces for each server and round, and the number of stalls."""
    plan = result["plan"]
    load = f"{plan['streams']} streams at once, {plan['pieces']} pieces each, one every {plan['pause'] * 1000:g} ms"
    title = f"{load}; {result['processes']} processes"
    shown = Table(title=title, title_justify="left", title_style="bold")
    shown.add_column("")
    late = ("late by p50, ms", "p99", "most", f"later than {plan['stall_ms']:g} ms")
    for column in (*late, "streams that ended", "ms of processor a stream"):
        shown.add_column(column, justify="right")
    for name, rounds in result["rounds"].items():
        who = f"LiteLLM {result['litellm']}" if name == "LiteLLM" else name
        for each in rounds:
            pieces = each["pieces"]
            figures = (f"{pieces[key]:.1f}" for key in ("p50_ms", "p99_ms", "max_ms"))
            cpu = "" if name == "direct" else f"{each['cpu_ms_per_stream']:.1f}"
            shown.add_row(who, *figures, f"{each['stalls']} of {pieces['count']}", f"{each['ended']}", cpu)
    console.print(shown)
    for name, rounds in result["rounds"].items():
        for failure in {each["first_failure"] for each in rounds if each["failed"]}:
            console.print(f"  {name}: the first stream that failed: {failure}", style="red", markup=False)
