"""Rows of the comparison, and their form as text for the terminal and for Markdown."""

# pyright: strict

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scale import crossover, functions_path, hub_path
from benchmarks.scale.facts import Facts
from benchmarks.scale.model import Outcome, Use, Workload, first

VIEWERS = (1, 100, 1_000, 10_000, 100_000)
HEADER = (
    "viewers",
    "functions: p50 / p99 ms",
    "US$ an hour",
    "first limit",
    "hubs",
    "p50 / p99 ms",
    "US$ an hour",
    "first limit",
)
LIMITS_HEADER = (
    "viewers",
    "functions: updates/s at most",
    "all have joined after",
    "hubs: updates/s at most",
    "all have joined after",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One audience on both runtimes. Prices are in US$ an hour."""

    load: Workload
    functions: Outcome
    functions_raised: Outcome | None
    """With as many API Gateway requests as the workload needs; None where the quota suffices."""
    functions_cost: float
    functions_uses: Sequence[Use]
    hub: Outcome
    """With as many tasks as the workload needs."""
    hub_cost: float
    hub_uses: Sequence[Use]
    hubs: int


def row(facts: Facts, load: Workload, seed: int = 1) -> Row:
    """Compute one row."""
    uses = functions_path.uses(facts, load)
    seen = functions_path.simulate(facts, load, seed)
    enough = first(uses).used <= 1 and seen.arrived > 0.99
    return Row(
        load,
        seen,
        None if enough else functions_path.simulate(facts, load, seed, raised=True),
        functions_path.cost(facts, load).total,
        uses,
        hub_path.simulate(facts, load, seed),
        hub_path.cost(facts, load).total,
        hub_path.uses(facts, load),
        hub_path.hubs(facts, load),
    )


def cells(computed: Row) -> tuple[str, ...]:
    """Return the texts of one row, in the order of ``HEADER``."""
    return (
        f"{computed.load.viewers:,.0f}",
        functions_seen(computed),
        dollars(computed.functions_cost),
        limit(computed.functions_uses),
        str(computed.hubs),
        hub_seen(computed),
        dollars(computed.hub_cost),
        limit(computed.hub_uses),
    )


def limits_cells(facts: Facts, load: Workload) -> tuple[str, ...]:
    """Return the texts of one audience, in the order of ``LIMITS_HEADER``."""
    return (
        f"{load.viewers:,.0f}",
        rate(crossover.highest_rate(lambda each: functions_path.uses(facts, each), load)),
        duration(functions_path.joining_seconds(facts, load)),
        rate(crossover.highest_rate(lambda each: hub_path.uses(facts, each), load)),
        duration(hub_path.joining_seconds(facts, load)),
    )


def functions_seen(computed: Row) -> str:
    """Return the percentiles, or the part of the frames that arrive if a limit is exceeded."""
    if computed.functions_raised is None:
        return percentiles(computed.functions)
    arriving = f"{computed.functions.arrived:.0%} of frames arrive"
    if any(use.fixed and use.used > 1 for use in computed.functions_uses):
        return f"{arriving}; no quota helps"
    return f"{arriving}; with a raised quota {percentiles(computed.functions_raised)}"


def hub_seen(computed: Row) -> str:
    """Return the percentiles, and the part of the sockets that the account's quota of processors has room for."""
    used = first(computed.hub_uses).used
    seen = percentiles(computed.hub)
    return seen if used <= 1 else f"{1 / used:.0%} of sockets fit; with a raised quota {seen}"


def percentiles(seen: Outcome) -> str:
    """Return the median and the 99th percentile in milliseconds."""
    return f"{seen.p50:.0f} / {seen.p99:.0f}"


def dollars(price: float) -> str:
    """Return a price in US$ with two or three significant digits."""
    return f"{price:,.0f}" if price >= 100 else f"{price:.2f}" if price < 10 else f"{price:.1f}"


def limit(uses: Sequence[Use]) -> str:
    """Return the limits that are exceeded, the most exceeded one first; else the one that is reached first."""
    exceeded = sorted((use for use in uses if use.used > 1), key=lambda use: -use.used)
    return "; ".join(f"{use.limit}: {_part(use.used)}" for use in exceeded or [first(uses)])


def _part(used: float) -> str:
    return f"{used:.0%}" if used < 2 else f"{used:.1f} times"


def rate(updates_per_second: float) -> str:
    """Return a rate, or "none" if there is no room for any update."""
    if updates_per_second < 0.05:
        return "none"
    return f"{updates_per_second:.1f}" if updates_per_second < 100 else f"{updates_per_second:,.0f}"


def duration(seconds: float) -> str:
    """Return a duration in a unit that suits it."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ([text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def crossover_lines(facts: Facts, rates: Sequence[float], load: Workload) -> list[str]:
    """Return sentences that name the crossover: for different rates, and for a month with a ``load`` now and then."""
    lines = [_crossover_line(each, crossover.viewers(facts, each, load.update_bytes)) for each in rates]
    hours, frames = crossover.live_hours(facts, load), crossover.frames(facts, load)
    lines.append(
        f"Hubs that never stop cost the same as functions at {frames / 1e6:,.0f} million frames a month: "
        f"at {load.updates_per_second:g} updates/s to {load.viewers:,.0f} viewers, {hours:,.0f} live hours."
    )
    return lines


def _crossover_line(updates_per_second: float, count: float | None) -> str:
    begin = f"While a share is live at {updates_per_second:g} updates/s"
    if count is None:
        return f"{begin}, functions are cheaper up to {crossover.MOST_VIEWERS:,.0f} viewers."
    if count == 0:
        return f"{begin}, hubs are cheaper, with any number of viewers."
    return f"{begin}, hubs are cheaper from {count:,.1f} viewers on."
