"""Speed of the usage dashboard over many events: `python -m benchmarks.usage [--events 10000000]`.

Fills a MariaDB of its own with a month of one workspace's events and their rollups, all made by SQL from a seed, then
reads what a dashboard shows through the code of the API, each in a fresh transaction. Not a part of `make test`.
`python -m benchmarks.pages` measures the pages of the console over the same events.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from local.database import OWNER, LocalDatabase
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.usage import SUMS, TOKENS
from opencode_cloud.usage.models import Dimension, Interval, Selection
from opencode_cloud.usage.service import UsageReader
from opencode_cloud.usage.store.breakdowns import BreakdownStore
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.figures import Figures

ROOT = Path(__file__).parent.parent
WORKSPACE = WorkspaceId("wrk_01K0000000000000000000000A")
SINCE, UNTIL = datetime(2026, 10, 1), datetime(2026, 11, 1)  # noqa: DTZ001 - UTC without a zone, as in SQL
MEMBERS, MODELS, KEYS_A_MEMBER, EVENTS_A_SESSION = 10_000, 8, 2, 30
CHUNK = 250_000
RUNS = 5
TABLES = (
    "usage_events",
    "usage_hours",
    "usage_days",
    "usage_sessions",
    "usage_breakdown_days",
    "usage_breakdown_months",
    "usage_session_months",
)
GOAL_SECONDS = 2.0
DASHBOARD = "dashboard: total, days, top models, members, keys"
LEDGER = Actor(
    kind=ActorKind.MEMBER, credential=CredentialKind.SESSION, id="mem_1", workspace_id=WORKSPACE, role=Role.OWNER
)

TOLD_APART = "model, upstream, member_id, service_account_id, key_id, project, agent, byok, outcome"
_EVENTS = """
INSERT INTO usage_events (id, at, workspace_id, member_id, key_id, model, upstream, upstream_model, format, streamed,
  byok, input_tokens, output_tokens, cache_read_tokens, estimated, cost, charged, reserved, price, catalogue,
  first_byte_ms, total_ms, attempts, outcome, status, session, request, correlation, batch)
SELECT CONCAT('call_', LPAD(n, 26, '0')), TIMESTAMPADD(SECOND, FLOOR(n * 2678400.0 / :events), :since), :workspace,
  CONCAT('mem_', LPAD(member, 26, '0')), CONCAT('key_', LPAD(member * :keys + n MOD :keys, 26, '0')),
  CONCAT('model-', (n DIV 17) MOD :models), CONCAT('upstream-', (n DIV 17) MOD :models MOD 3), 'm', 'messages', 1, 0,
  n MOD 5000, n MOD 900, n MOD 40000, 0, n MOD 3000000, n MOD 3000000, 9000000, 'p1', 1, n MOD 900, n MOD 20000, 1,
  IF(n MOD 50 = 0, 'failed', 'completed'), 200, CONCAT('ses_', LPAD(n DIV :events_a_session, 26, '0')), 'msg', 't', 'b'
FROM (SELECT seq AS n, (seq DIV :events_a_session) MOD :members AS member FROM seq_{first}_to_{last}) AS numbers
"""


def _rollup(table: str, start: str, session: str = "") -> str:
    told = f"{session} {TOLD_APART}"
    sums = ["COUNT(*)", *(f"SUM({name})" for name in TOKENS), "SUM(cost)", "SUM(charged)", "SUM(estimated)"]
    sums += ["SUM(attempts)", "SUM(total_ms)", "SUM(first_byte_ms)", "COUNT(first_byte_ms)"]
    return (
        f"INSERT INTO {table} (workspace_id, start, grouping, {told}, {', '.join(SUMS)}) "  # noqa: S608 - our own names
        f"SELECT workspace_id, {start}, UNHEX(SHA2(CONCAT_WS('|', {told}), 256)), {told}, {', '.join(sums)} "
        "FROM usage_events WHERE workspace_id = :workspace AND at >= :since AND at < :until "
        f"GROUP BY workspace_id, {start}, {told}"
    )


_HOURS = _rollup("usage_hours", "DATE_FORMAT(at, '%Y-%m-%d %H:00:00')")
_SESSIONS = _rollup("usage_sessions", "DATE(at)", "session,")
_DAYS = (
    f"INSERT INTO usage_days (workspace_id, start, grouping, {TOLD_APART}, {', '.join(SUMS)}) "  # noqa: S608
    f"SELECT workspace_id, DATE(start), grouping, {TOLD_APART}, {', '.join(f'SUM({name})' for name in SUMS)} "
    "FROM usage_hours WHERE workspace_id = :workspace AND start >= :since AND start < :until "
    f"GROUP BY workspace_id, DATE(start), grouping, {TOLD_APART}"
)


def fill(
    owner: Database,
    events: int,
    members: int = MEMBERS,
    workspace_id: WorkspaceId = WORKSPACE,
    since: datetime = SINCE,
) -> None:
    """Make the events of a month of 31 days and their rollups; ``owner`` must wait longer than functions do."""
    values: dict[str, Any] = {"events": events, "since": since, "workspace": workspace_id, "models": MODELS}
    values |= {"members": members, "keys": KEYS_A_MEMBER, "events_a_session": EVENTS_A_SESSION}
    for first in range(0, events, CHUNK):
        last = min(first + CHUNK, events) - 1
        with owner.transaction() as connection:
            connection.execute(text(_EVENTS.format(first=first, last=last)), values)
        sys.stderr.write(f"\r{last + 1:,} events")
    breakdowns = BreakdownStore(owner)
    for day in (since + timedelta(days=number) for number in range(31)):
        with owner.transaction() as connection:
            period = {"workspace": workspace_id, "since": day, "until": day + timedelta(days=1)}
            for statement in (_HOURS, _DAYS, _SESSIONS):
                connection.execute(text(statement), period)
        breakdowns.rebuild_day(workspace_id, day)
        sys.stderr.write(f"\rsums up to {day:%Y-%m-%d} ")
    for month in breakdowns.stale_months(workspace_id, since, since + timedelta(days=31)):
        breakdowns.rebuild_month(workspace_id, month)
    for month in breakdowns.stale_session_months(workspace_id, since, since + timedelta(days=31)):
        breakdowns.rebuild_session_month(workspace_id, month)
    sys.stderr.write("\n")


def questions(reading: UsageReader) -> dict[str, Callable[[], Any]]:
    """Return the queries of a dashboard, by name."""
    month = Selection(since=SINCE, until=UNTIL)
    # A past period that ends within a day: its last hours are read by the hour. A period that ends now is read by days.
    part = Selection(since=SINCE, until=UNTIL - timedelta(hours=7, minutes=12))
    one = Selection(since=SINCE, until=UNTIL, only={Dimension.MEMBER: f"mem_{7:026d}"})

    def top(by: Dimension) -> Callable[[], Any]:
        return lambda: reading.groups(LEDGER, WORKSPACE, month, by, None, 10)

    def dashboard(period: Selection) -> Callable[[], None]:
        def ask() -> None:
            reading.total(LEDGER, WORKSPACE, period)
            reading.series(LEDGER, WORKSPACE, period, Interval.DAY, None, None, 1000)
            for by in (Dimension.MODEL, Dimension.MEMBER, Dimension.KEY):
                reading.groups(LEDGER, WORKSPACE, period, by, None, 10)

        return ask

    return {
        DASHBOARD: dashboard(month),
        "the same for a period that ends within a day": dashboard(part),
        "total of the month": lambda: reading.total(LEDGER, WORKSPACE, month),
        "series by day": lambda: reading.series(LEDGER, WORKSPACE, month, Interval.DAY, None, None, 1000),
        "series by day and model": lambda: reading.series(
            LEDGER, WORKSPACE, month, Interval.DAY, Dimension.MODEL, None, 1000
        ),
        "series by hour": lambda: reading.series(LEDGER, WORKSPACE, month, Interval.HOUR, None, None, 1000),
        "top models": top(Dimension.MODEL),
        "top members": top(Dimension.MEMBER),
        "top keys": top(Dimension.KEY),
        "top sessions": top(Dimension.SESSION),
        "one member's total": lambda: reading.total(LEDGER, WORKSPACE, one),
        "first page of calls": lambda: reading.events(LEDGER, WORKSPACE, month, None, 51),
        "first page of a member's calls": lambda: reading.events(LEDGER, WORKSPACE, one, None, 51),
    }


def measure(database: Database) -> dict[str, dict[str, float]]:
    """Return, by question, the seconds of the first run and the median of all."""
    reading = UsageReader(Figures(database), EventArchive(database))
    found: dict[str, dict[str, float]] = {}
    for name, ask in questions(reading).items():
        taken: list[float] = []
        for _ in range(RUNS):
            began = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - began)
        found[name] = {"first": round(taken[0], 3), "median": round(statistics.median(taken), 3)}
    return found


def counted(owner: Database) -> dict[str, int]:
    """Return the number of rows of each table."""
    with owner.transaction() as connection:
        return {
            name: connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one()  # noqa: S608 - our own names
            for name in TABLES
        }


def main() -> int:
    """Run the benchmark; 0 if the dashboard keeps its promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--members", type=int, default=MEMBERS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="usage-") as folder:
        server = LocalDatabase(Path(folder), ROOT)
        server.start("--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin")
        try:
            owner = Database(server.access.url(OWNER), statement_seconds=None)
            migration.upgrade(owner.engine, ROOT / "migrations")
            began = time.perf_counter()
            fill(owner, options.events, options.members)
            filled = time.perf_counter() - began
            rows = counted(owner)
            figures = measure(Database(server.access.url()))
        finally:
            server.stop()
    print(json.dumps({"rows": rows, "filled_seconds": round(filled), "seconds": figures}, indent=2))
    slowest = max(figures[DASHBOARD].values())
    return 0 if slowest < GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
