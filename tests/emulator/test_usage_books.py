"""SQL is compared with settled calls in a real DynamoDB: drift of each kind is found, and missing events are added.

Retention deletes old rows in both places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table

from opencode_cloud.budgets.service import Reservations
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.budgets import (
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    Claim,
    Counter,
    KnownBudget,
    Reservation,
)
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId
from opencode_cloud.contracts.usage import SettledEvent, UsageEvent
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.errors import Conflict, Unavailable
from opencode_cloud.kit.housekeeping import ItemsFailed
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.budgets import usage_settings
from opencode_cloud.schema.usage import (
    reconciliations,
    usage_counters,
    usage_days,
    usage_events,
    usage_hours,
    usage_metadata,
    usage_sessions,
)
from opencode_cloud.schema.usage_events import counters_of, from_row, to_row
from opencode_cloud.schema.workspaces import workspaces
from opencode_cloud.usage.models import Drift
from opencode_cloud.usage.service import Ingest, Reconciliation, Retention, retention
from opencode_cloud.usage.service.rollups import day_start
from opencode_cloud.usage.store import purges
from opencode_cloud.usage.store.checks import CheckStore
from opencode_cloud.usage.store.ledger import Ledger
from opencode_cloud.usage.store.purges import PurgeStore
from opencode_cloud.usage.store.table import CounterTable, UsageTable
from tests.emulator.budgets.conftest import Tables, tables  # noqa: F401 - fixtures
from tests.metrics import written_metrics
from tests.unit.usage.events import OTHER, WORKSPACE, event, rows, totals

BEFORE = day_start(utc_now()) - timedelta(days=2)
"""A day that every nightly run compares."""
AT = int((BEFORE - datetime(1970, 1, 1)).total_seconds() * 1000) + 60_000  # noqa: DTZ001 - UTC without a zone


@dataclass
class Books:
    """Both places, and the service that compares them."""

    database: Database
    tables: Tables

    def __post_init__(self) -> None:
        self.ingest = Ingest(Ledger(self.database))
        self.table = UsageTable(self.tables.usage)
        self.reconciliation = Reconciliation(
            CheckStore(self.database), self.table, CounterTable(self.tables.budgets), self.ingest
        )
        now = utc_now()
        row = {"id": WORKSPACE, "name": "Acme", "created_at": now, "updated_at": now}
        with self.database.transaction() as connection:
            connection.execute(workspaces.insert(), row)

    def settle(self, *events: UsageEvent) -> None:
        """Put events into DynamoDB, as settlements do."""
        for each in events:
            self.tables.emulator.client("dynamodb").put_item(TableName=self.tables.usage, Item=to_row(each))

    def take(self, *events: UsageEvent) -> None:
        """Ingest events into MySQL, as the stream does."""
        self.ingest.take([SettledEvent(event=each) for each in events])

    def findings(self) -> list[tuple[str, str, bool]]:
        return [(row["kind"], row["subject"], row["repaired"]) for row in rows(self.database, reconciliations)]

    def change(self, table: Table, **values: Any) -> None:
        with self.database.transaction() as connection:
            connection.execute(table.update().values(**values))


@pytest.fixture
def books(database: Database, tables: Tables) -> Books:  # noqa: F811 - pytest hands fixtures over by their names
    return Books(database, tables)


calls = [event(number, at=AT + number) for number in range(5)]


def test_a_workspace_that_cannot_be_compared_holds_up_no_other(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [event(number, at=AT + number, workspace_id=OTHER) for number in range(5, 8)]
    books.settle(*calls, *others)
    books.take(calls[0], others[0])
    first, second = sorted([WORKSPACE, OTHER])
    whole = UsageTable.day

    def day(table: UsageTable, workspace_id: WorkspaceId, *rest: Any) -> Any:
        if workspace_id == first:
            raise Unavailable("slow", "no answer")
        return whole(table, workspace_id, *rest)

    monkeypatch.setattr(UsageTable, "day", day)
    with pytest.raises(ItemsFailed, match=f"failed, the first of them {first}"):
        books.reconciliation.run()
    complete = calls if second == WORKSPACE else others
    taken = [row for row in rows(books.database, usage_events) if row["workspace_id"] == second]
    assert len(taken) == len(complete)


def test_books_that_agree_are_found_to_agree(books: Books) -> None:
    books.settle(*calls)
    books.take(*calls)
    assert books.reconciliation.run() == 0
    assert books.findings() == []


def test_events_that_never_came_are_found_and_taken_in(books: Books) -> None:
    books.settle(*calls)
    books.take(*calls[:2])
    with written_metrics() as metrics:
        assert books.reconciliation.run() == 1
    assert metrics["LedgerDrift"] == [1]
    assert books.findings() == [("events", "", True)]
    for rollup in (usage_hours, usage_days, usage_sessions):
        assert totals(books.database, rollup)["calls"] == 5
    assert books.reconciliation.run() == 0


def test_an_event_that_nobody_settled_is_found(books: Books) -> None:
    books.settle(*calls)
    books.take(*calls, event(9, at=AT))
    assert books.reconciliation.run() == 1
    assert books.findings() == [("events", "", False)]


@pytest.mark.parametrize("change", [{"cost": 150_000_001}, {"input_tokens": 101}, {"charged": 1}])
def test_an_event_whose_amounts_were_changed_is_found(books: Books, change: dict[str, int]) -> None:
    books.settle(*calls)
    books.take(*calls)
    books.change(usage_events, **change)
    books.reconciliation.run()
    assert ("events", "", False) in books.findings()


def test_amounts_that_were_swapped_are_found(books: Books) -> None:
    dear, cheap = event(1, at=AT, cost=5), event(2, at=AT, cost=3)
    books.settle(dear, cheap)
    books.take(msgspec.structs.replace(dear, cost=3), msgspec.structs.replace(cheap, cost=5))
    assert books.reconciliation.run() == 1


@pytest.mark.parametrize(
    ("kind", "table"), [("hours", usage_hours), ("days", usage_days), ("sessions", usage_sessions)]
)
@pytest.mark.parametrize("column", ["calls", "cost", "charged", "cache_read_tokens"])
def test_a_rollup_that_is_not_the_sum_of_its_events_is_found(
    books: Books, kind: str, table: Table, column: str
) -> None:
    books.settle(*calls)
    books.take(*calls)
    books.change(table, **{column: 1})
    assert books.reconciliation.run() == 1
    assert books.findings() == [(kind, "", False)]


def test_a_day_of_another_workspace_changes_nothing(books: Books) -> None:
    books.settle(*calls, event(50, workspace_id=OTHER, at=AT))
    books.take(*calls)
    assert books.reconciliation.run() == 0
    assert len(rows(books.database, usage_events)) == 5


class TestReplay:
    def test_a_day_is_taken_in_again_and_what_is_there_stays(self, books: Books) -> None:
        books.settle(*calls)
        books.take(calls[0])
        day = f"{BEFORE:%Y-%m-%d}"
        replayed = [books.reconciliation.replay(day, WORKSPACE, None) for _ in range(2)]
        assert [(each.events, each.new, each.after) for each in replayed] == [(5, 4, None), (5, 0, None)]
        assert totals(books.database, usage_days)["calls"] == 5

    def test_a_replay_goes_on_where_it_was(self, books: Books) -> None:
        books.settle(*calls)
        replayed = books.reconciliation.replay(f"{BEFORE:%Y-%m-%d}", None, (WORKSPACE, calls[2].id))
        assert (replayed.events, replayed.new) == (2, 2)

    def test_events_that_retention_has_deleted_are_not_counted_a_second_time(self, books: Books) -> None:
        books.settle(*calls)
        books.take(*calls)
        Retention(PurgeStore(books.database), books.table, 1).run()
        assert rows(books.database, usage_events) == []
        with pytest.raises(Conflict, match="double-count"):
            books.reconciliation.replay(f"{BEFORE:%Y-%m-%d}", None, None)
        assert books.reconciliation.check_day(WORKSPACE, BEFORE) > 0
        assert books.findings()[0] == ("events", "", False)
        assert totals(books.database, usage_days)["calls"] == totals(books.database, usage_hours)["calls"] == 5

    def test_what_is_no_event_keeps_nothing_else_out(self, books: Books) -> None:
        books.settle(*calls)
        poison = to_row(event(7, at=AT)) | {"event": {"S": "{"}}
        books.tables.emulator.client("dynamodb").put_item(TableName=books.tables.usage, Item=poison)
        assert books.reconciliation.replay(f"{BEFORE:%Y-%m-%d}", None, None).new == 5


class TestCounters:
    """The machine of budgets settles calls, and the sums in SQL equal the events."""

    limit = 10**9

    def counters(self, at: int) -> list[Counter]:
        units = [
            (BudgetScope.WORKSPACE, BudgetUnit.COST, BudgetPeriod.DAY),
            (BudgetScope.BALANCE, BudgetUnit.COST, BudgetPeriod.TOTAL),
            (BudgetScope.KEY, BudgetUnit.REQUESTS, BudgetPeriod.MINUTE),
            (BudgetScope.MEMBER, BudgetUnit.TOKENS, BudgetPeriod.HOUR),
        ]
        return [
            counter(
                KnownBudget(id=BudgetId(f"bud_{scope}"), scope=scope, unit=unit, period=period, limit=self.limit), at
            )
            for scope, unit, period in units
        ]

    def settle(self, books: Books, events: Sequence[UsageEvent]) -> None:
        async def settle_all() -> None:
            dynamodb = AsyncDynamoDB()
            budgets = Reservations(books.tables.store(dynamodb))
            for each in events:
                claim = Claim(cost=each.cost, charged=each.charged, tokens=each.tokens.total)
                held = Reservation(
                    id=each.id,
                    counters=self.counters(each.at // 1000),
                    claim=claim,
                    lease_until=now_seconds() + 900,
                )
                await budgets.reserve(held, each)
                await budgets.settle(held, each)
            await dynamodb.close()

        asyncio.run(settle_all())
        found = books.tables.rows(books.tables.usage)
        books.ingest.take([SettledEvent(event=from_row(row), counters=counters_of(row)) for row in found])

    @pytest.fixture(autouse=True)
    def _settled(self, books: Books) -> None:
        self.settle(books, [event(number, at=AT + number, cost=10 + number, charged=number) for number in range(3)])

    def test_counters_hold_what_their_events_add_up_to(self, books: Books) -> None:
        assert books.reconciliation.run() == 0
        compared = {row["counter"]: row["reconciled_at"] is not None for row in rows(books.database, usage_counters)}
        assert sorted(compared.values()) == [False, True, True, True], "the balance never ends"

    @pytest.mark.parametrize("scope", [BudgetScope.WORKSPACE, BudgetScope.BALANCE, BudgetScope.KEY, BudgetScope.MEMBER])
    def test_a_counter_that_says_something_else_is_found_once(self, books: Books, scope: BudgetScope) -> None:
        (key,) = [each.key for each in self.counters(AT // 1000) if each.budget.scope is scope]
        books.tables.emulator.client("dynamodb").update_item(
            TableName=books.tables.budgets,
            Key={"pk": {"S": key}, "sk": {"S": "COUNTER"}},
            UpdateExpression="ADD spent :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        assert books.reconciliation.run() == 1
        assert books.findings() == [("counter", key, False)]
        assert books.reconciliation.run() == (1 if scope is BudgetScope.BALANCE else 0)

    def test_a_counter_that_is_gone_is_found(self, books: Books) -> None:
        key = self.counters(AT // 1000)[0].key
        books.tables.emulator.client("dynamodb").delete_item(
            TableName=books.tables.budgets, Key={"pk": {"S": key}, "sk": {"S": "COUNTER"}}
        )
        assert books.reconciliation.run() == 1

    def test_a_balance_whose_latest_call_has_not_come_yet_is_no_drift(self, books: Books) -> None:
        late = event(9, at=now_seconds() * 1000, cost=1, charged=1)
        taken, books.ingest.take = books.ingest.take, lambda _: 0  # type: ignore[method-assign]
        self.settle(books, [late])
        books.ingest.take = taken  # type: ignore[method-assign]
        assert books.reconciliation.check_counters() == 0

    def test_an_event_that_comes_later_is_compared_again(self, books: Books) -> None:
        books.reconciliation.run()
        stray = event(8, at=AT, cost=1)
        books.ingest.take([SettledEvent(event=stray, counters=(self.counters(AT // 1000)[0].key,))])
        assert books.reconciliation.check_counters() == 1


class TestRetention:
    def purge(self, books: Books, days: int = 400) -> int:
        return Retention(PurgeStore(books.database), books.table, days).run()

    def test_old_events_go_and_their_sums_by_hour_and_day_stay(self, books: Books) -> None:
        old = event(1, at=AT - 40 * 86_400_000)
        books.take(old, *calls[2:])
        self.purge(books, days=30)
        assert [row["id"] for row in rows(books.database, usage_events)] == [each.id for each in calls[2:]]
        assert totals(books.database, usage_days)["calls"] == totals(books.database, usage_hours)["calls"] == 4
        assert totals(books.database, usage_sessions)["calls"] == 3

    def test_metadata_goes_in_both_places_when_the_workspace_says_so(self, books: Books) -> None:
        old, new = (event(n, at=AT - n * 10 * 86_400_000, metadata={"client": "opencode"}) for n in (1, 0))
        books.settle(old, new)
        books.take(old, new)
        values = {"workspace_id": WORKSPACE, "metadata_days": 5, "updated_by": "ann", "updated_at": utc_now()}
        with books.database.transaction() as connection:
            connection.execute(usage_settings.insert(), values)
        self.purge(books)
        assert [row["event_id"] for row in rows(books.database, usage_metadata)] == [new.id]
        kept = {row["sk"]["S"] for row in books.tables.rows(books.tables.usage) if "metadata" in row}
        assert kept == {new.id}
        books.change(usage_settings, metadata_days=0)
        self.purge(books)
        assert rows(books.database, usage_metadata) == []
        assert len(rows(books.database, usage_events)) == len(books.tables.rows(books.tables.usage)) == 2

    def test_nothing_is_left_of_a_workspace_that_is_gone(self, books: Books) -> None:
        gone = event(1, workspace_id=OTHER, at=AT, metadata={"client": "opencode"})
        books.settle(gone)
        books.ingest.take([SettledEvent(event=gone, counters=("budget#x#total",)), SettledEvent(event=calls[0])])
        finding = Drift(workspace_id=OTHER, day=f"{BEFORE:%Y-%m-%d}", kind="days", expected={}, found={})
        CheckStore(books.database).record(finding)
        self.purge(books)
        sums = (usage_hours, usage_days, usage_sessions, usage_counters)
        for table in (usage_events, usage_metadata, *sums, reconciliations):
            assert {row["workspace_id"] for row in rows(books.database, table)} <= {WORKSPACE}
        assert len(rows(books.database, usage_events)) == 1
        assert not any("metadata" in row for row in books.tables.rows(books.tables.usage))

    def test_what_a_night_leaves_of_a_workspace_goes_the_next_one(
        self, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "MOST_BATCHES", 1)
        monkeypatch.setattr(purges, "AT_ONCE", 1)
        gone = [event(number, workspace_id=OTHER, at=AT, metadata={"client": "opencode"}) for number in range(2)]
        books.settle(*gone)
        books.ingest.take([SettledEvent(event=each, counters=(f"budget#{n}#total",)) for n, each in enumerate(gone)])
        left: list[tuple[int, int]] = []
        for _ in range(2):
            self.purge(books)
            metadata = [row for row in books.tables.rows(books.tables.usage) if "metadata" in row]
            left.append((len(metadata), len(rows(books.database, usage_counters))))
        assert left == [(1, 1), (0, 0)]
