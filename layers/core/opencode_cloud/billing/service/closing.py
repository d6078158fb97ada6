"""Close months: nothing is booked into a closed one, and each workspace gets a statement that never changes."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.billing.models.documents import LateUsage, Statement, StatementTotal, UsageOfStatement
from opencode_cloud.billing.models.errors import month_open
from opencode_cloud.billing.models.transactions import CHARGING_KINDS
from opencode_cloud.billing.service.chain import next_period, period_bounds
from opencode_cloud.billing.service.reading import movement_of
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import rounding
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.housekeeping import ItemRuns
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.money import CENT

if TYPE_CHECKING:
    from opencode_cloud.billing.store.closing import ClosingStore
    from opencode_cloud.billing.store.ledger import LedgerStore
    from opencode_cloud.kit.sql import Connection, Database

OPEN_DAYS = 2
"""Days of the next month during which a month stays open for late events (docs/decisions/035)."""
AT_ONCE = 100


class MonthClose:
    """Closes months and writes statements. Each step may be repeated."""

    def __init__(self, database: Database, store: LedgerStore, closing: ClosingStore) -> None:
        self._database = database
        self._store = store
        self._closing = closing

    def run(self) -> int:
        """Close every month that is due, and write the statements that are missing; return their number."""
        with self._database.transaction() as connection:
            first, closed = self._closing.first_period(connection), self._closing.closed(connection)
        period = next_period(closed[-1]) if closed else first
        while period is not None and utc_now() >= due(period):
            self.close(period)
            closed.append(period)
            period = next_period(period)
        # Several months may close at once, and a process may have died between a close and its statements.
        return sum(self.write_statements(each) for each in closed)

    def close(self, period: str) -> None:
        """Close a month. A closed one stays as it is.

        Raises ``month_open`` (409) before day 3 of the next month, or if the month before is open.
        """
        with self._database.transaction() as connection:
            head = self._store.lock_head(connection)
            if period <= head.closed_through:
                return
            expected = next_period(head.closed_through) if head.closed_through else period
            if period != expected or utc_now() < due(period):
                raise month_open(period)
            self._closing.add_close(connection, period, head.seq, utc_now())
            self._store.move_head(connection, msgspec.structs.replace(head, closed_through=period))
        logger.info("a month was closed", extra={"period": period, "seq": head.seq})

    def write_statements(self, period: str) -> int:
        """Write the statements of a closed month that do not exist; return their number.

        Raises :class:`ItemsFailed` if some workspaces failed. Those of the others are written.
        """
        runs, before = ItemRuns(), -1
        # Those that fail stay missing, so a round without a new statement is the last.
        while runs.total > before:
            before = runs.total
            with self._database.transaction() as connection:
                missing = self._closing.without_statement(connection, period, AT_ONCE)
            for workspace_id in missing:
                runs.run(workspace_id, partial(self._write_statement, workspace_id, period))
        count("StatementsWritten", runs.total)
        runs.check()
        return runs.total

    def _write_statement(self, workspace_id: WorkspaceId, period: str) -> int:
        with self._database.transaction() as connection:
            statement = self.statement(connection, workspace_id, period)
            self._closing.add_statement(connection, statement, utc_now())
        return 1

    def statement(self, connection: Connection, workspace_id: WorkspaceId, period: str) -> Statement:
        """Return the statement of a month from the ledger, and from the sums of usage by model and key."""
        start, end = period_bounds(period)
        opening, frozen = self._opening(connection, workspace_id, period)
        amounts: defaultdict[str, int] = defaultdict(int)
        numbers: defaultdict[str, int] = defaultdict(int)
        late: defaultdict[str, int] = defaultdict(int)
        for row in self._closing.totals(connection, workspace_id, period):
            if row.layer == "pending":
                frozen += int(row.amount)
                continue
            amounts[row.kind] -= int(row.amount)
            numbers[row.kind] += row.transactions
            if row.kind in CHARGING_KINDS and row.month != period:
                late[row.month] += int(row.amount)
        charged = -sum(amounts[kind] for kind in CHARGING_KINDS if kind in amounts) - sum(late.values())
        usage = self._usage(connection, workspace_id, start, end, charged)
        movements = self._closing.movements(connection, self._store, workspace_id, period)
        return Statement(
            workspace_id=workspace_id,
            period=period,
            currency=USD,
            opening=opening,
            closing=opening + sum(amounts.values()),
            frozen=frozen,
            totals=[StatementTotal(kind=kind, amount=amounts[kind], transactions=numbers[kind]) for kind in amounts],
            usage=usage,
            late_usage=[LateUsage(period=month, amount=amount) for month, amount in sorted(late.items())],
            usage_cents=sum(line.cents for line in usage),
            movements=[movement_of(each) for each in movements],
        )

    def _opening(self, connection: Connection, workspace_id: WorkspaceId, period: str) -> tuple[int, int]:
        year, month = int(period[:4]), int(period[5:])
        before = f"{year - (month == 1):04}-{(month - 2) % 12 + 1:02}"
        if last := self._closing.statement(connection, workspace_id, before):
            return last.closing, last.frozen
        return self._closing.balance_before(connection, workspace_id, period)

    def _usage(
        self, connection: Connection, workspace_id: WorkspaceId, start: datetime, end: datetime, charged: int
    ) -> list[UsageOfStatement]:
        """Return the lines of usage. They add up to ``charged``, what the ledger has booked for calls of the month."""
        rows = [
            (row.model, row.key_id, int(row.calls), int(row.charged))
            for row in self._closing.usage(connection, workspace_id, start, end)
        ]
        # Calls that arrived in the month and were counted between its close and this statement, or before the ledger.
        if rest := charged - sum(row[3] for row in rows):
            rows.append(("", "", 0, rest))
        cents = rounding.lines([row[3] for row in rows])
        return [
            UsageOfStatement(model=model, key_id=key_id, calls=calls, amount=amount, cents=line // CENT)
            for (model, key_id, calls, amount), line in zip(rows, cents, strict=True)
        ]


def due(period: str) -> datetime:
    """Return the instant from which a month may be closed: day 3 of the next one, 00:00 UTC."""
    return period_bounds(period)[1] + timedelta(days=OPEN_DAYS)
