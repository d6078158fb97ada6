"""`make bench`: measure the deployed local stage; JSON goes to benchmarks/results/, tables to the terminal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from benchmarks.noise import others_share
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.report import print_report
from benchmarks.scenarios import Scenarios
from benchmarks.stage import ROOT, Durability, Stage, floor, stage
from local.hub import RUNTIMES

RESULTS = Path(__file__).with_name("results")
TABLE_WIDTH = 150  # when the output is a file
Json = dict[str, Any]


def main() -> None:
    """Run all parts, or some."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under two minutes: fewer viewers, items and repetitions")
    parser.add_argument("--only", default="", help="names of parts, separated by commas (see `scenarios.py`)")
    parser.add_argument(
        "--durability",
        choices=("disk", "process"),
        default="disk",
        help="what an acknowledged write survives: a power cut, or only a killed process",
    )
    parser.add_argument("--runtime", choices=RUNTIMES, default=RUNTIMES[0], help="where sharing runs")
    parser.add_argument("--show", type=Path, help="print the tables of an earlier result and stop")
    arguments = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else TABLE_WIDTH)
    if arguments.show:
        print_report(console, json.loads(arguments.show.read_text()))
        return
    only = frozenset(filter(None, arguments.only.split(",")))
    result = measure(QUICK if arguments.quick else FULL, only, console, arguments.durability, arguments.runtime)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(result, indent=1))
    print_report(console, result)
    console.print(f"\nAll figures: {file.relative_to(ROOT)}")
    sys.exit(1 if result["failures"] else 0)


def measure(plan: Plan, only: frozenset[str], console: Console, durability: Durability, runtime: str) -> Json:
    """Start stage and floor, run the parts of ``plan``, and stop both."""

    def say(text: str) -> None:
        console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}")

    raise_file_limit()
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    with stage(say, durability, runtime) as deployed, floor() as floor_url:
        results, failures = _run(deployed, floor_url, plan, only, say)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "durability": durability,
        "runtime": runtime,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
        },
        "seconds": round(time.monotonic() - began, 1),
        "failures": failures,
        **results,
    }


def raise_file_limit() -> None:
    """Raise the limit of open files to the system's maximum, because each viewer is a socket, here and in the floor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(deployed: Stage, floor_url: str, plan: Plan, only: frozenset[str], say: Any) -> tuple[Json, Json]:
    run = asyncio.run
    with contextlib.suppress(ImportError):  # not on Windows
        from uvloop import run
    return run(_run_parts(deployed, floor_url, plan, only, say))


async def _run_parts(deployed: Stage, floor_url: str, plan: Plan, only: frozenset[str], say: Any) -> tuple[Json, Json]:
    """Run the parts in order. Report a failed part, and run the others."""
    results: Json = {}
    failures: Json = {}
    others: Json = {}
    seconds: Json = {}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        scenarios = Scenarios(deployed, floor_url, plan, http, say)
        await scenarios.warm_up()
        for name, part in scenarios.all().items():
            if only and name not in only:
                continue
            began = time.monotonic()
            try:
                with others_share() as share:
                    results[name] = await part()
                others[name] = share[0]
            except Exception as error:  # noqa: BLE001 - reported in the result, which then fails
                failures[name] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
            seconds[name] = round(time.monotonic() - began, 1)
            say(f"part {name}: {seconds[name]:g} s")
    return {**results, "others_share": others, "part_seconds": seconds}, failures


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()


if __name__ == "__main__":
    main()
