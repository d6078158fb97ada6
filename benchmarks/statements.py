"""Time of a month's statement: `python -m benchmarks.statements [--calls 10000000] [--batch 25]`.

Fills a MariaDB of its own with the ledger of one workspace that made these calls, `batch` of them in a transaction, and
with its sums of usage by day. All rows are made by SQL. Then it writes the statement of the month by the code that
closes months. Not a part of `make test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text

from local.database import OWNER, LocalDatabase
from opencode_cloud.billing.service.closing import MonthClose
from opencode_cloud.billing.store.closing import ClosingStore
from opencode_cloud.billing.store.ledger import LedgerStore
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database

ROOT = Path(__file__).parent.parent
WORKSPACE = WorkspaceId("wrk_01K0000000000000000000000A")
PERIOD, DAYS = "2026-10", 31
KEYS, MODELS = 400, 8
COST = 900
"""Micro-cents of each call."""
RUNS = 5
GOAL_SECONDS = 2.0
CHUNK = 50_000

_TRANSACTIONS = """
INSERT INTO ledger_transactions (seq, id, kind, idempotency_key, cause_kind, cause_id, workspace_id, event_at,
  booked_at, period, terms, body, prev, hash)
SELECT seq, CONCAT('ltx_', LPAD(seq, 26, '0')), 'usage', CONCAT('batch:', seq), 'batch', CONCAT('batch_', seq),
  :workspace, TIMESTAMPADD(SECOND, FLOOR((seq - 1) * 2678400.0 / :all), '2026-10-01'), '2026-10-31 12:00:00', :period,
  UNHEX(SHA2(seq, 256)), REPEAT('x', 400), UNHEX(SHA2(CONCAT('p', seq), 256)), UNHEX(SHA2(CONCAT('h', seq), 256))
FROM seq_{first}_to_{last}
"""
_ENTRIES = """
INSERT INTO ledger_entries (seq, n, account_id, amount, layer, balance_after, account_version)
SELECT seq, {n}, :account, :amount, 'posted', {after}, {version} FROM seq_{first}_to_{last}
"""
_USAGE = """
INSERT INTO usage_days (workspace_id, start, grouping, model, key_id, byok, outcome, calls, charged)
SELECT :workspace, TIMESTAMPADD(DAY, d.seq, '2026-10-01'), UNHEX(SHA2(CONCAT(m.seq, '|', k.seq), 256)),
  CONCAT('model-', m.seq), CONCAT('key_', LPAD(k.seq, 26, '0')), 0, 'completed', :calls, :charged
FROM seq_0_to_{days} AS d, seq_1_to_{models} AS m, seq_1_to_{keys} AS k
"""


def fill(owner: Engine, calls: int, batch: int) -> None:
    """Make the transactions of the month, and the sums of usage that agree with them."""
    size, values = calls // batch, {"workspace": WORKSPACE, "period": PERIOD, "all": calls // batch}
    for first in range(1, size + 1, CHUNK):
        last = min(first + CHUNK - 1, size)
        with owner.begin() as connection:
            connection.execute(text(_TRANSACTIONS.format(first=first, last=last)), values)
            for n, account, sign, after, version in (
                (0, f"{WORKSPACE}:balance:USD", 1, "-seq", "seq"),
                (1, "house:revenue:USD", -1, "NULL", "NULL"),
            ):
                query = _ENTRIES.format(n=n, after=after, version=version, first=first, last=last)
                connection.execute(text(query), {"account": account, "amount": sign * COST * batch})
        sys.stderr.write(f"\r{last:,} transactions")
    rows = DAYS * MODELS * KEYS
    with owner.begin() as connection:
        query = _USAGE.format(days=DAYS - 1, models=MODELS, keys=KEYS)
        sums = {"calls": calls // rows, "charged": COST * (calls // rows)}
        connection.execute(text(query), {"workspace": WORKSPACE, **sums})
    sys.stderr.write("\n")


def measure(database: Database) -> dict[str, Any]:
    """Return the seconds of the first statement and the median of all, and what the statement says."""
    months = MonthClose(database, LedgerStore(), ClosingStore())
    taken: list[float] = []
    lines, charged = 0, 0
    for _ in range(RUNS):
        began = time.perf_counter()
        with database.transaction() as connection:
            statement = months.statement(connection, WORKSPACE, PERIOD)
        taken.append(time.perf_counter() - began)
        lines, charged = len(statement.usage), sum(line.amount for line in statement.usage)
    first, median = round(taken[0], 3), round(statistics.median(taken), 3)
    return {"first_seconds": first, "median_seconds": median, "lines": lines, "charged_micro_cents": charged}


@contextmanager
def filled(calls: int, batch: int) -> Iterator[Database]:
    """Run a database with the month in it."""
    with tempfile.TemporaryDirectory(prefix="statements-") as folder:
        server = LocalDatabase(Path(folder), ROOT)
        server.start("--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin")
        try:
            owner = create_engine(server.access.url(OWNER))
            migration.upgrade(owner, ROOT / "migrations")
            fill(owner, calls, batch)
            yield Database(server.access.url())
        finally:
            server.stop()


def main() -> int:
    """Run the benchmark; 0 if the statement keeps its promise and adds up to the ledger."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--batch", type=int, default=25, help="calls in a transaction (default: 25)")
    options = parser.parse_args()
    with filled(options.calls, options.batch) as database:
        figures = measure(database)
    print(json.dumps({"calls": options.calls, "transactions": options.calls // options.batch, **figures}, indent=2))
    right = figures["charged_micro_cents"] == options.calls // options.batch * options.batch * COST
    return 0 if right and figures["median_seconds"] < GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
