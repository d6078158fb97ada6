"""Server time of the console's pages over many calls: `python -m benchmarks.pages [--events 10000000]`.

Starts a local stage of its own, makes a workspace with members and the calls of a month, and asks for each page as its
owner, one request after the other. The time is that of the client, so it includes the front door and the emulation of
Lambda. Not a part of `make test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from benchmarks import usage
from local.database import OWNER
from local.stack import LocalStack
from opencode_cloud.console import menu
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.sql import Database
from tests.integration.people import People

ROOT = Path(__file__).parent.parent
WARM, RUNS = 3, 100
GOAL_MS = 150.0
EMAIL = "owner@example.com"
MEMORY = ("--innodb-buffer-pool-size=1G",)
"""The memory of the database: that of the least Aurora, half an ACU."""
_ACCOUNTS = """
INSERT INTO accounts (id, email, address, name, created_at, updated_at)
SELECT CONCAT('acc_', LPAD(seq, 26, '0')), CONCAT('person-', seq, '@example.com'),
  CONCAT('person-', seq, '@example.com'), '', :now, :now FROM seq_0_to_{last}
"""
_MEMBERS = """
INSERT INTO members (id, workspace_id, account_id, role, created_at, updated_at)
SELECT CONCAT('mem_', LPAD(seq, 26, '0')), :workspace, CONCAT('acc_', LPAD(seq, 26, '0')), 'member', :now, :now
FROM seq_0_to_{last}
"""


def month_before(now: datetime) -> datetime:
    """Return the start of the last month of 31 days that is over."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while True:
        month = (month - timedelta(days=1)).replace(day=1)
        if (month + timedelta(days=31)).day == 1:
            return month


def people(owner: Database, workspace_id: WorkspaceId, members: int) -> None:
    """Make members, whose ids are those of the calls."""
    with owner.transaction() as connection:
        for statement in (_ACCOUNTS, _MEMBERS):
            values = {"now": utc_now(), "workspace": workspace_id}
            connection.execute(text(statement.format(last=members - 1)), values)


def addresses(workspace_id: WorkspaceId, since: datetime) -> dict[str, str]:
    """Return the pages to ask for, by name."""
    console = f"/console/{workspace_id}"
    month = f"from={since:%Y-%m-%d}&to={since + timedelta(days=30):%Y-%m-%d}"
    week = f"from={since + timedelta(days=20):%Y-%m-%d}&to={since + timedelta(days=26):%Y-%m-%d}"
    found = {
        page.path.strip("/") or "overview": f"{console}{page.path}"
        for page in menu.pages_of(billing=False, sells=False)
    }
    for by in ("model", "caller", "member", "key", "project", "agent", "upstream", "outcome", "session"):
        found[f"usage of a month by {by}"] = f"{console}/usage?{month}&by={by}"
    found["usage of a week by caller"] = f"{console}/usage?{week}&by=caller"
    found["usage of a month by model, of one member"] = f"{console}/usage?{month}&by=model&member=mem_{7:026d}"
    found["usage of a month by caller, of one model"] = f"{console}/usage?{month}&by=caller&model=model-3"
    found["calls of a month"] = f"{console}/calls?{month}"
    found["calls of a month, of one member"] = f"{console}/calls?{month}&member=mem_{7:026d}"
    return found


def timed(http: httpx.Client, address: str, runs: int) -> dict[str, float]:
    """Return percentiles of the milliseconds of a page, and its bytes."""
    taken: list[float] = []
    size = 0
    for number in range(WARM + runs):
        began = time.perf_counter()
        answer = http.get(address)
        if number >= WARM:
            taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != httpx.codes.OK:
            raise SystemExit(f"{address} answered {answer.status_code}: {answer.text[:300]}")
        size = len(answer.content)
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "bytes": size}


def fill(stack: LocalStack, events: int, members: int) -> dict[str, Any]:
    """Make a workspace on a stage, with members and the calls of a month; return the rows of each table."""
    workspace_id = WorkspaceId(People(stack).somebody(EMAIL).found())
    owner = Database(stack.database.access.url(OWNER), statement_seconds=None)
    people(owner, workspace_id, members)
    began = time.perf_counter()
    usage.fill(owner, events, members, workspace_id, month_before(utc_now()))
    filled = round(time.perf_counter() - began)
    with owner.transaction() as connection:
        # A server that is in use has current statistics.
        tables = ", ".join([*usage.TABLES, "members", "accounts"])
        connection.execute(text(f"ANALYZE TABLE {tables}"))
    return {"rows": usage.counted(owner), "filled_seconds": filled}


def measure(stack: LocalStack, runs: int) -> dict[str, dict[str, float]]:
    """Return the times of the workspace's pages."""
    http = People(stack).signed_in(EMAIL).http
    (workspace,) = http.get("/api/v1/workspaces").json()["data"]
    pages: dict[str, dict[str, float]] = {}
    for name, address in addresses(WorkspaceId(workspace["id"]), month_before(utc_now())).items():
        pages[name] = timed(http, address, runs)
        sys.stderr.write(f"{name:<45}{pages[name]['p50_ms']:>9.1f}{pages[name]['p99_ms']:>9.1f} ms\n")
    return pages


def main() -> int:
    """Run the benchmark; 0 if every page of the menu keeps its promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--members", type=int, default=usage.MEMBERS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--wait", action="store_true", help="wait for Enter before measuring: the machine may be busy")
    options = parser.parse_args()

    def report(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    with (
        tempfile.TemporaryDirectory(prefix="pages-") as folder,
        LocalStack(Path(folder), root=ROOT, database_options=MEMORY, report=report) as stack,
    ):
        figures = fill(stack, options.events, options.members)
        if options.wait:
            report("Filled. Press Enter to measure.")
            sys.stdin.readline()
        figures |= {"pages": measure(stack, options.runs)}
    print(json.dumps(figures, indent=2))
    slow = {name: page for name, page in figures["pages"].items() if page["p99_ms"] >= GOAL_MS}
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
