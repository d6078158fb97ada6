"""Speed of charging usage: `python -m benchmarks.settling [--events 1000000] [--ends 3]`.

Takes events in batches of a stream, as the function `ledger` does, into a MariaDB of its own that flushes at each
commit. It says events a second, statements and processor time an event, waits for locks, and the time to read a
balance meanwhile; at the end it checks that each event was charged once and that the books add up. Not a part of
`make test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy import event as sql_events

from local.database import OWNER, LocalDatabase
from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.booking import Booking
from opencode_cloud.billing.service.reading import BillingReader
from opencode_cloud.billing.service.settling import UsageSettlement
from opencode_cloud.billing.store.closing import ClosingStore
from opencode_cloud.billing.store.ledger import LedgerStore
from opencode_cloud.billing.store.reading import LedgerReader
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.contracts.ids import CallId, KeyId, MemberId, WorkspaceId
from opencode_cloud.contracts.usage import SettledEvent, Tokens, UsageEvent
from opencode_cloud.kit import migration
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.kit.sql import Database
from opencode_cloud.outbox.service import Outbox, WakeUp
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.payments.service.reload_trigger import ReloadTrigger
from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
from opencode_cloud.schema.workspaces import workspaces
from opencode_cloud.usage.service import Ingest
from opencode_cloud.usage.store.ledger import Ledger

ROOT = Path(__file__).parent.parent
WORKSPACES = 20
BATCH = 500
"""Events of one batch of the stream."""
READERS = 2
"""Invocations of `ledger` at one time."""
GOAL_A_SECOND = 2000
MONDAY_MS = 1_764_072_000_000


class _QuietOutbox(OutboxStore):
    """The outbox without its queue."""

    def wake(self, wake_up: WakeUp) -> None:
        pass


@dataclass
class Counted:
    """Statements and conflicts of a run."""

    statements: int = 0
    conflicts: int = 0

    def follow(self, engine: Engine) -> None:
        """Count every statement of an engine."""

        def before(*_: Any) -> None:
            self.statements += 1

        sql_events.listen(engine, "before_cursor_execute", before)


def workspace(number: int) -> WorkspaceId:
    """Return the id of one of the workspaces."""
    return WorkspaceId(f"wrk_{number:026d}")


def made(number: int, counters: Sequence[str]) -> SettledEvent:
    """Return the event of a call; its workspace and cost follow from its number."""
    cost = number % 5000 + 1
    event = UsageEvent(
        id=CallId(f"call_{number:026d}"),
        at=MONDAY_MS + number,
        workspace_id=workspace(number % WORKSPACES),
        member_id=MemberId(f"mem_{number % 200:026d}"),
        key_id=KeyId(f"key_{number % 400:026d}"),
        model=f"model-{number % 8}",
        upstream="upstream",
        upstream_model="model",
        format="messages",
        streamed=True,
        tokens=Tokens(input=number % 900, output=number % 90),
        cost=cost,
        charged=cost,
        reserved=cost,
        price="p1",
        catalogue=1,
        total_ms=2000,
        attempts=1,
        status=200,
        session=f"ses_{number // 30}",
    )
    return SettledEvent(event=event, counters=(counters[number % WORKSPACES],))


def measure(database: Database, events: int, ends: int = 0) -> dict[str, Any]:
    """Charge events, and return the figures."""
    audit, store = AuditTrail(AuditStore()), LedgerStore()
    outbox = Outbox(_QuietOutbox(database, "no queue"), lambda _messages: None)
    balance = Balance(database, outbox, audit, BudgetStore())
    booking = Booking(outbox, store, balance, ReloadTrigger(AutoReloadStore()).watch)
    ingest = Ingest(Ledger(database), UsageSettlement(booking, store))
    reader = BillingReader(database, LedgerReader(database, store), ClosingStore(), enabled=True)
    _found(database, booking, ends)
    with database.transaction() as connection:
        found = balance.balances(connection, [workspace(number) for number in range(WORKSPACES)])
    counters = [found[workspace(number)].counter for number in range(WORKSPACES)]
    counted, reads = Counted(), list[float]()
    counted.follow(database.engine)

    def take(first: int) -> None:
        batch = [made(number, counters) for number in range(first, min(first + BATCH, events))]
        while True:
            try:
                ingest.take(batch)
                break
            except Unavailable:
                counted.conflicts += 1  # the stream delivers a batch again that conflicted
        began = time.perf_counter()
        reader.balance(workspace(first % WORKSPACES))
        reads.append(time.perf_counter() - began)

    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(READERS) as crowd:
        list(crowd.map(take, range(0, events, BATCH)))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    return {
        "events": events,
        "a_second": round(events / seconds),
        "statements_an_event": round(counted.statements / events, 4),
        "python_ms_an_event": round(used / events * 1000, 3),
        "conflicts": counted.conflicts,
        "balance_read_p99_ms": round(statistics.quantiles(reads, n=100)[-1] * 1000, 1) if len(reads) > 1 else None,
    }


def _found(database: Database, booking: Booking, ends: int) -> None:
    """Make the workspaces, each with credit, and with ``ends`` grants that end on the days after today."""
    now = utc_now()
    with database.transaction() as connection:
        rows = [{"id": workspace(n), "name": "Acme", "created_at": now, "updated_at": now} for n in range(WORKSPACES)]
        connection.execute(workspaces.insert(), rows)
    for number in range(WORKSPACES):
        with booking.unit() as unit:
            locked = booking.lock(unit, [workspace(number)])
            wanted = [drafts.grant(workspace(number), 1000 * DOLLAR, "bench", now)]
            days = [now.replace(microsecond=0) + timedelta(days=day + 1) for day in range(ends)]
            wanted += [drafts.grant(workspace(number), DOLLAR // 10, f"{day}", now, day) for day in days]
            booking.book(unit, locked, wanted)


def checked(owner: Engine, events: int) -> dict[str, Any]:
    """Return what the database says: waits for row locks, and whether the books add up."""
    with owner.connect() as connection:

        def one(query: str) -> int:
            return int(connection.execute(text(query)).scalar() or 0)

        status = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock%'")).all()
        charged = sum(number % 5000 + 1 for number in range(events))
        return {
            **{name.lower(): int(value) for name, value in status if name.endswith(("waits", "time"))},
            "charged_once": one("SELECT COUNT(*) FROM ledger_postings") == events,
            "sums_are_right": one("SELECT SUM(amount) FROM ledger_postings") == charged,
            "entries_sum_to_zero": one("SELECT SUM(amount) FROM ledger_entries") == 0,
        }


def main() -> int:
    """Run the benchmark; 0 if the books add up and the rate is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--ends", type=int, default=0, help="grants with an end, of each workspace (default: none)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="settling-") as folder:
        server = LocalDatabase(Path(folder), ROOT)
        server.start("--innodb-buffer-pool-size=1G", "--skip-log-bin")
        try:
            owner = create_engine(server.access.url(OWNER))
            migration.upgrade(owner, ROOT / "migrations")
            figures = measure(Database(server.access.url()), options.events, options.ends)
            figures |= checked(owner, options.events)
        finally:
            server.stop()
    print(json.dumps(figures, indent=2))
    right = figures["charged_once"] and figures["sums_are_right"] and figures["entries_sum_to_zero"]
    return 0 if right and figures["a_second"] >= GOAL_A_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
