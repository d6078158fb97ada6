"""A model of capacity: `python -m benchmarks.planning` writes docs/capacity.md from recorded calls and AWS's quotas.

`python -m benchmarks.planning --record benchmarks/results/<file>.json` first takes the counts of a run of `make bench`
(parts `accounting` and `model_calls`) into `benchmarks/recorded.json`, which is kept in the repository.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.facts import Facts, read

ROOT = Path(__file__).resolve().parent.parent
RECORDED = Path(__file__).with_name("recorded.json")
DOCUMENT = ROOT / "docs" / "capacity.md"
TEAMS = (50, 500, 5000)
Json = dict[str, Any]

SYNC, CREATE, RESUME, PAGE, UNSHARE = (
    "sync 10 items, 0 viewers",
    "create",
    "resume, 10 items missed",
    "read page",
    "unshare",
)
OPERATIONS = (CREATE, SYNC, RESUME, PAGE, UNSHARE)
"""Names of recorded operations of sharing that the model uses."""

CALL = "streamed"

CONTENTION = "[059](decisions/059-one-row-for-a-counter.md)"
WORKSPACE_CALLS = 30.0
"""Calls a second of one workspace with a budget (docs/decisions/059)."""

TABLE_WRITES, TABLE_READS = 4_000.0, 12_000.0
"""Units a second that a new on-demand table takes at once (reference: DynamoDB, "On-demand capacity mode")."""

SES_RATE = 14.0
"""Mails a second of a new SES account outside of the sandbox."""

RESERVED = 700.0
"""Concurrent model calls that stage production reserves (infra/stage.py)."""

HOURS = 730


@dataclass(frozen=True)
class Habits:
    """What one developer does. All numbers are assumptions, and arguments of the command."""

    days: float = 21
    """Working days of a month."""
    calls: float = 400
    """Model calls a day: an agent makes one for each step."""
    call_seconds: float = 15
    """Duration of one call."""
    shared: float = 2
    """Shared sessions a day."""
    updates: float = 150
    """Publications of one shared session, of ten items each."""
    viewers: float = 2
    """People who open one shared session."""
    viewer_minutes: float = 10
    """Time that a viewer's page stays open."""
    pages: float = 5
    """Pages of the console a day."""
    starts: float = 10
    """Starts of a client a day; each reads its configuration."""
    mails: float = 0.2
    """Mails a day."""
    peak_hour: float = 0.2
    """Part of a day's work in its busiest hour."""
    burst: float = 3
    """Factor of the busiest ten seconds over the mean of that hour."""

    def peak(self, a_day: float) -> float:
        """Return the events a second at the peak, of `a_day` events."""
        return a_day * self.peak_hour / 3600 * self.burst


@dataclass(frozen=True)
class Load:
    """One quota, and what a team uses of it at its peak."""

    name: str
    used: float
    quota: float
    unit: str
    raised_by: str

    @property
    def part(self) -> float:
        """The part of the quota that is used."""
        return self.used / self.quota


class Plan:
    """The load and cost of a team of `developers`, all in one workspace."""

    def __init__(self, developers: int, habits: Habits, recorded: Mapping[str, Any], facts: Facts) -> None:
        self.developers, self.habits, self._facts = developers, habits, facts
        self._recorded = recorded
        self._operations: Mapping[str, Json] = recorded["operations"]
        self._call: Json = recorded["model_call"]

    def a_month(self) -> dict[str, float]:
        """Return the events of a month by name."""
        days = self.developers * self.habits.days
        shares = days * self.habits.shared
        return {
            "model calls": days * self.habits.calls,
            "shared sessions": shares,
            "publications": shares * self.habits.updates,
            "viewers": shares * self.habits.viewers,
            "pages of the console": days * self.habits.pages,
        }

    def loads(self) -> list[Load]:
        """Return the quotas, the one that is used most first."""
        return sorted(self._loads(), key=lambda load: -load.part)

    def _loads(self) -> Iterator[Load]:
        habits, quotas = self.habits, self._facts.quotas
        calls = habits.peak(self.developers * habits.calls)
        publications = habits.peak(self.developers * habits.shared * habits.updates)
        joins = habits.peak(self.developers * habits.shared * habits.viewers)
        requests = habits.peak(self.developers * (habits.pages * 3 + habits.starts))
        streams = calls * habits.call_seconds
        # A publication is posted to each viewer who is there.
        watching = habits.viewers * min(1.0, habits.viewer_minutes / 60)
        gateway = publications * (1 + watching) + joins * 4 + requests
        yield Load(
            "model calls of one workspace",
            calls,
            WORKSPACE_CALLS,
            "calls/s",
            f"several workspaces ({CONTENTION})",
        )
        yield Load("reserved streams", streams, RESERVED, "at one time", "`gateway.concurrency`, or containers")
        others = publications * 0.1 + joins * 0.2 + requests * 0.3
        yield Load(
            "Lambda, all functions",
            streams + others,
            quotas.concurrent_functions,
            "at one time",
            "Service Quotas, Lambda",
        )
        yield Load(
            "API Gateway", gateway, quotas.gateway_requests, "requests/s", "hubs, or Service Quotas, API Gateway"
        )
        yield Load("new sockets", joins, quotas.new_connections, "a second", "hubs, or Service Quotas, API Gateway")
        writes = calls * self._call["write_units"]
        yield Load("writes of table `budgets`", writes, TABLE_WRITES, "units/s", "DynamoDB by itself, within minutes")
        reads = calls * self._call["read_units"]
        yield Load("reads of table `access`", reads, TABLE_READS, "units/s", "DynamoDB by itself, within minutes")
        mails = habits.peak(self.developers * habits.mails)
        yield Load("mails", mails, SES_RATE, "a second", "SES raises it with use")

    def rows(self) -> float:
        """Return the rows that a month adds to tables `usage` and `shares`, and to MySQL."""
        events = self.a_month()
        return events["model calls"] * 2 + events["publications"]

    def connections(self) -> float:
        """Return the connections to the database at the peak: one for each function at work with SQL."""
        requests = self.habits.peak(self.developers * self.habits.pages * 3)
        return max(2.0, requests * 0.3 + 5)

    def costs(self) -> dict[str, float]:
        """Return US$ a month by part, without the price of the models themselves."""
        events, prices = self.a_month(), self._facts.prices
        calls, shares = events["model calls"], events["shared sessions"]
        parts = {
            "idle": self._recorded["idle_usd"],
            "model calls: functions": calls * self.habits.call_seconds * 0.5 * prices.function_gb_second,
            "model calls: tables and requests": calls * self._call_usd(),
            "sharing": shares * self.share_usd(),
            "console": events["pages of the console"] * 3 * 0.3 * 1.73 * prices.function_gb_second,
        }
        # Two rows of about a kilobyte for each call in MySQL and DynamoDB, kept for a year on average.
        parts["storage"] = calls * 12 * 2e-6 * 0.2
        return parts

    def in_containers(self) -> float:
        """Return US$ a month of model calls in containers that are as many as the peak needs."""
        prices = self._facts.prices
        streams = self.habits.peak(self.developers * self.habits.calls) * self.habits.call_seconds
        tasks = max(2, -(-streams // 400))
        task = prices.vcpu_hour + 2 * prices.memory_gb_hour + prices.address_hour
        return HOURS * (tasks * task + prices.balancer_hour + prices.address_hour)

    def call_usd(self) -> float:
        """Return US$ of one model call with its function, without the model's price."""
        return self._call_usd() + self.habits.call_seconds * 0.5 * self._facts.prices.function_gb_second

    def _call_usd(self) -> float:
        prices = self._facts.prices
        units = (
            self._call["write_units"] * prices.write_unit_million + self._call["read_units"] * prices.read_unit_million
        )
        # CloudFront, Lambda, and about 2 KB of logs. The event is written once more into SQL, in batches.
        return (units + prices.cdn_request_million + prices.invocation_million) / 1e6 + 2e-6 * prices.log_gb

    def share_usd(self) -> float:
        """Return US$ of one shared session: created, published, watched and removed."""
        habits = self.habits
        times = {CREATE: 1.0, SYNC: habits.updates, RESUME: habits.viewers, PAGE: habits.viewers, UNSHARE: 1.0}
        usd = sum(times[name] * self._operation_usd(name) for name in OPERATIONS)
        frames = habits.updates * habits.viewers * min(1.0, habits.viewer_minutes / 60)
        minutes = habits.viewers * habits.viewer_minutes
        prices = self._facts.prices
        return usd + (frames * prices.message_million + minutes * prices.connection_minute_million) / 1e6

    def _operation_usd(self, name: str) -> float:
        usd = self._operations[name]["usd_per_million"]
        return (usd["total"] + usd["edge"] + usd["egress"]) / 1e6

    def member_usd(self) -> float:
        """Return US$ a month of one developer, without the idle stage and without the models' price."""
        return (sum(self.costs().values()) - self._recorded["idle_usd"]) / self.developers


def document(habits: Habits, recorded: Mapping[str, Any]) -> str:
    """Return docs/capacity.md."""
    facts = read()
    plans = [Plan(developers, habits, recorded, facts) for developers in TEAMS]
    head = ["", *(f"{plan.developers:,} developers" for plan in plans)]
    lines = [
        *INTRODUCTION,
        "## A month, and the peak",
        "",
        *_table(head, _figures(plans)),
        "",
        "## First limits",
        "",
        *_table(["", "first limit", "then", "then"], [_limits(plan) for plan in plans]),
        "",
        "Percentages are parts of AWS's default quota, or of our stated rate, at the peak.",
        "",
        *_table(
            ["limit", "quota", "raised by"],
            [[it.name, f"{it.quota:,.0f} {it.unit}", it.raised_by] for it in plans[0].loads()],
        ),
        "",
        "## What it costs",
        "",
        *_table(["US$ a month", *head[1:]], _costs(plans)),
        "",
        "The price of the models is not included. Containers replace the first line of model calls. They are cheaper",
        f"from the team of {_cheaper(plans)} on.",
        "",
        *_table(
            ["price of", "US$"],
            [
                ["1,000 model calls", f"{1000 * plans[0].call_usd():.2f}"],
                ["1,000 shared sessions", f"{1000 * plans[0].share_usd():.2f}"],
                ["1,000 members for a month, without the idle stage", f"{1000 * plans[0].member_usd():,.0f}"],
            ],
        ),
        "",
        *_counted(recorded),
        *ASSUMED,
        *_table(["one developer", "assumed"], [[name, f"{value:g}"] for name, value in _assumptions(habits)]),
        "",
    ]
    return "\n".join(lines)


INTRODUCTION = (
    "# Capacity",
    "",
    "`python -m benchmarks.planning` writes this page, from AWS calls that `make bench` recorded on the emulator,",
    "from AWS's quotas and list prices (`benchmarks/scale/facts.toml`), and from assumptions about developers. No",
    "figure was measured on AWS. All developers of a team are in one workspace with a budget: the worst case for its",
    "counter.",
    "",
)
ASSUMED = (
    "## Assumptions",
    "",
    "`python -m benchmarks.planning --set calls=1000 --show` prints the page for other habits. Lambda's time of a call",
    "is its whole duration at 512 MB. A publication takes 0.1 s of a function, a page of the console 0.3 s for each of",
    "three requests.",
    "",
)
NAMES = {
    "days": "working days a month",
    "calls": "model calls a day",
    "call_seconds": "seconds of a call",
    "shared": "shared sessions a day",
    "updates": "publications of a session, of ten items",
    "viewers": "viewers of a session",
    "viewer_minutes": "minutes of a viewer",
    "pages": "pages of the console a day",
    "starts": "starts of a client a day",
    "mails": "mails a day",
    "peak_hour": "part of the day's work in its busiest hour",
    "burst": "busiest seconds of that hour, times its mean",
}


def _assumptions(habits: Habits) -> Iterator[tuple[str, float]]:
    yield from ((words, getattr(habits, name)) for name, words in NAMES.items())


def _figures(plans: list[Plan]) -> Iterator[list[str]]:
    months = [plan.a_month() for plan in plans]
    for name in months[0]:
        yield [f"{name} a month", *(f"{month[name]:,.0f}" for month in months)]
    yield ["new rows a month (DynamoDB and MySQL)", *(f"{plan.rows():,.0f}" for plan in plans)]
    for name in ("model calls of one workspace", "reserved streams", "API Gateway"):
        loads = [next(it for it in plan.loads() if it.name == name) for plan in plans]
        yield [f"at the peak: {name}, {loads[0].unit}", *(f"{load.used:,.1f}" for load in loads)]
    yield ["at the peak: connections to the database", *(f"{plan.connections():,.0f}" for plan in plans)]


def _limits(plan: Plan) -> list[str]:
    return [
        f"{plan.developers:,} developers",
        *(f"{load.name}: {load.part:.0%}{' - **exceeded**' if load.part > 1 else ''}" for load in plan.loads()[:3]),
    ]


def _costs(plans: list[Plan]) -> Iterator[list[str]]:
    costs = [plan.costs() for plan in plans]
    for name in costs[0]:
        yield [name, *(f"{cost[name]:,.2f}" for cost in costs)]
    yield ["together", *(f"{sum(cost.values()):,.2f}" for cost in costs)]
    yield [
        "for one developer",
        *(f"{sum(cost.values()) / plan.developers:,.2f}" for cost, plan in zip(costs, plans, strict=True)),
    ]
    yield ["model calls in containers instead", *(f"{plan.in_containers():,.2f}" for plan in plans)]


def _cheaper(plans: list[Plan]) -> str:
    found = [plan.developers for plan in plans if plan.in_containers() < plan.costs()["model calls: functions"]]
    return f"{found[0]:,}" if found else "none"


def _counted(recorded: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Recorded calls", "", f"Recorded on {recorded['date']}, commit {recorded['commit']}.", "")
    rows = [[name, recorded["operations"][name]] for name in OPERATIONS] + [
        ["model call, streamed", recorded["model_call"]]
    ]
    table = [
        [
            name,
            ", ".join(f"{count} {call}" for call, count in it["calls"].items()),
            f"{it['write_units']:g}",
            f"{it['read_units']:g}",
        ]
        for name, it in rows
    ]
    yield from _table(["operation", "AWS calls", "write units", "read units"], table)
    yield ""


def _table(head: list[str], rows: Any) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def record(result: Path, idle_usd: float) -> Json:
    """Return what the model needs of a run of `make bench`."""
    run = json.loads(result.read_text())
    kept = ("calls", "write_units", "read_units", "usd_per_million")
    operations = {it["operation"]: {key: it[key] for key in kept} for it in run["accounting"]["operations"]}
    call = run["model_calls"][CALL]
    return {
        "date": run["at"][:10],
        "commit": run["commit"],
        "idle_usd": idle_usd,
        "operations": {name: operations[name] for name in OPERATIONS},
        "model_call": {key: call[key] for key in ("calls", "write_units", "read_units")},
    }


def main() -> None:
    """Record, or write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--record", type=Path, help="a result of `make bench`")
    parser.add_argument("--idle", type=float, help="US$ of `make cost STAGE=production`, with --record")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="another habit")
    parser.add_argument("--show", action="store_true", help="print the document instead of writing it")
    arguments = parser.parse_args()
    if arguments.record:
        RECORDED.write_text(json.dumps(record(arguments.record, arguments.idle), indent=1) + "\n")
    changed = {name: float(number) for name, _, number in (it.partition("=") for it in arguments.set)}
    text = document(Habits(**changed), json.loads(RECORDED.read_text()))
    if arguments.show:
        print(text)
    else:
        DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
