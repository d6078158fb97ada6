"""Breakdowns answer questions about one attribute, and are rebuilt where they lack calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import event as engine_event

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.housekeeping import ItemsFailed
from opencode_cloud.kit.retry import retry
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.usage import (
    usage_breakdown_days,
    usage_breakdown_months,
    usage_days,
    usage_events,
    usage_session_months,
)
from opencode_cloud.usage.models import Dimension, Interval, Selection
from opencode_cloud.usage.service import Breakdowns, Ingest, UsageReader
from opencode_cloud.usage.service import breakdowns as service_breakdowns
from opencode_cloud.usage.service.ingesting import CONFLICTS, conflicted
from opencode_cloud.usage.service.rollups import day_start
from opencode_cloud.usage.store.breakdowns import BreakdownStore
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.figures import Figures
from opencode_cloud.usage.store.ledger import Ledger
from tests.metrics import written_metrics
from tests.unit.usage.events import ANN, BEN, DAY, HOUR, NOON, OTHER, ROBOT, WORKSPACE, entry, rows
from tests.unit.usage.test_ingest import BREAKDOWNS, assert_all_sums_are_of
from tests.unit.usage.test_reading import owner, reader

NOVEMBER, DECEMBER = datetime(2025, 11, 1), datetime(2025, 12, 1)  # noqa: DTZ001 - UTC without a zone, as in SQL
TODAY = datetime(2025, 11, 28)  # noqa: DTZ001 - as above
MONTH = Selection(since=NOVEMBER, until=DECEMBER)
CALLS = [
    entry(
        number,
        at=NOON + number % 3 * DAY + number * 1000,
        workspace_id=OTHER if number % 11 == 0 else WORKSPACE,
        member_id=("", ANN, BEN)[number % 3],
        service_account_id=ROBOT if number % 3 == 0 else "",
        model=f"model-{number % 5}",
        project=f"project-{number % 4}",
        session=f"ses_{number % 6}",
        cost=number,
    )
    for number in range(60)
]


@pytest.fixture
def ingest(database: Database) -> Ingest:
    return Ingest(Ledger(database))


@pytest.fixture
def breakdowns(database: Database, monkeypatch: pytest.MonkeyPatch) -> Breakdowns:
    monkeypatch.setattr(service_breakdowns, "utc_now", lambda: TODAY + timedelta(hours=3))
    return Breakdowns(BreakdownStore(database))


DERIVED = (*BREAKDOWNS, usage_session_months)


def stored(database: Database) -> list[list[dict[str, Any]]]:
    return [rows(database, table) for table in DERIVED]


@contextmanager
def asked(database: Database) -> Generator[list[tuple[str, Any]]]:
    """Collect the statements that a block sends, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    engine_event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        engine_event.remove(database.engine, "before_cursor_execute", note)


class TestRebuilding:
    def test_breakdowns_that_agree_are_left_alone(
        self, database: Database, ingest: Ingest, breakdowns: Breakdowns
    ) -> None:
        ingest.take(CALLS)
        with written_metrics() as metrics:
            assert breakdowns.run() == 0
        assert metrics["BreakdownsRebuilt"] == [0]
        assert_all_sums_are_of(database, CALLS)

    def test_calls_that_an_earlier_release_counted_are_added(
        self, database: Database, ingest: Ingest, breakdowns: Breakdowns
    ) -> None:
        ingest.take(CALLS)
        complete = stored(database)
        with database.transaction() as connection:
            for table in DERIVED:
                connection.execute(table.delete())
        # Three days, a month, and a month of sessions, of one workspace and of the other.
        assert breakdowns.run() == 10
        assert stored(database) == complete
        assert breakdowns.run() == 0

    @pytest.mark.parametrize("table", DERIVED)
    @pytest.mark.parametrize("column", ["calls", "cost", "first_bytes"])
    def test_a_sum_that_differs_is_replaced(
        self, database: Database, ingest: Ingest, breakdowns: Breakdowns, table: Any, column: str
    ) -> None:
        ingest.take(CALLS)
        complete = stored(database)
        with database.transaction() as connection:
            wrong = {column: table.c[column] + 1}
            connection.execute(table.update().where(table.c.workspace_id == WORKSPACE).values(wrong))
        assert breakdowns.run() >= 1
        assert stored(database) == complete

    def test_a_workspace_that_fails_holds_up_no_other(
        self, database: Database, ingest: Ingest, breakdowns: Breakdowns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ingest.take(CALLS)
        complete = stored(database)
        with database.transaction() as connection:
            for table in DERIVED:
                connection.execute(table.delete().where(table.c.workspace_id.in_([WORKSPACE, OTHER])))
        first, _ = sorted([WORKSPACE, OTHER])
        whole = BreakdownStore.stale_days

        def stale_days(store: BreakdownStore, workspace_id: WorkspaceId, *bounds: datetime) -> Any:
            if workspace_id == first:
                raise Unavailable("slow", "the statement took too long")
            return whole(store, workspace_id, *bounds)

        with monkeypatch.context() as broken:
            broken.setattr(BreakdownStore, "stale_days", stale_days)
            with written_metrics() as metrics, pytest.raises(ItemsFailed, match=f"failed, the first of them {first}"):
                breakdowns.run()
        assert metrics["BreakdownsRebuilt"] == [5]
        assert breakdowns.run() == 5
        assert stored(database) == complete

    def test_a_group_that_no_call_has_is_removed(
        self, database: Database, ingest: Ingest, breakdowns: Breakdowns
    ) -> None:
        ingest.take(CALLS)
        complete = stored(database)
        day = day_start(TODAY) - timedelta(days=10)
        wrong = {"workspace_id": WORKSPACE, "breakdown": "all", "start": day, "value": "", "calls": 1}
        with database.transaction() as connection:
            connection.execute(usage_breakdown_days.insert(), wrong)
        breakdowns.run()
        (days, months, _) = stored(database)
        assert [row for row in days if row["calls"]] == complete[0]
        assert months == complete[1]

    @pytest.mark.parametrize("known", [True, False], ids=["day with breakdowns", "day without breakdowns"])
    def test_calls_that_arrive_meanwhile_are_counted_once(
        self, database: Database, ingest: Ingest, known: bool
    ) -> None:
        store, day = BreakdownStore(database), day_start(TODAY) - timedelta(days=3)
        first = [entry(number, member_id=f"mem_{number:026d}") for number in range(40)]
        ingest.take(first)
        if not known:
            with database.transaction() as connection:
                for table in DERIVED:
                    connection.execute(table.delete())
        more = [entry(number, member_id=f"mem_{number:026d}", cost=number) for number in range(40, 160)]

        def take(start: int) -> None:
            ingest.take(more[start : start + 10])

        def rebuild(_: int) -> None:
            retry(lambda: store.rebuild_day(WORKSPACE, day), CONFLICTS, Unavailable, when=conflicted)
            retry(lambda: store.rebuild_month(WORKSPACE, NOVEMBER), CONFLICTS, Unavailable, when=conflicted)
            retry(lambda: store.rebuild_session_month(WORKSPACE, NOVEMBER), CONFLICTS, Unavailable, when=conflicted)

        work: list[tuple[Callable[[int], None], int]] = [(take, start) for start in range(0, len(more), 10)]
        work += [(rebuild, 0)] * 6
        random.Random(1).shuffle(work)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: each[0](each[1]), work))
        rebuild(0)
        assert_all_sums_are_of(database, [*first, *more])


class TestReading:
    """The cost of a question about one attribute does not depend on the number of groups of all attributes."""

    QUESTIONS = (
        ({}, None),
        ({}, Dimension.MODEL),
        ({}, Dimension.MEMBER),
        ({Dimension.CALLER: ANN}, Dimension.MEMBER),
        ({Dimension.PROJECT: "project-1"}, None),
    )

    @pytest.mark.parametrize(("only", "by"), QUESTIONS)
    def test_a_month_is_read_from_the_breakdown_by_month(
        self, database: Database, only: dict[Dimension, str], by: Dimension | None
    ) -> None:
        reading = UsageReader(Figures(database), EventArchive(database))
        month = msgspec.structs.replace(MONTH, only=only)
        with asked(database) as statements:
            if by is None:
                reading.total(owner, WORKSPACE, month)
            else:
                reading.groups(owner, WORKSPACE, month, by, None, 10)
        ((statement, _),) = statements
        assert usage_breakdown_months.name in statement
        assert not any(name in statement for name in ("usage_days", "usage_hours", usage_breakdown_days.name))

    @pytest.mark.parametrize(("only", "by"), QUESTIONS)
    def test_a_series_by_day_is_read_from_the_breakdown_by_day(
        self, database: Database, only: dict[Dimension, str], by: Dimension | None
    ) -> None:
        reading = UsageReader(Figures(database), EventArchive(database))
        month = msgspec.structs.replace(MONTH, only=only)
        with asked(database) as statements:
            reading.series(owner, WORKSPACE, month, Interval.DAY, by, None, 100)
        ((statement, _),) = statements
        assert usage_breakdown_days.name in statement
        assert not any(name in statement for name in ("usage_days", "usage_hours", usage_breakdown_months.name))

    def test_the_dearest_sessions_of_a_month_are_read_by_an_index(self, database: Database, ingest: Ingest) -> None:
        ingest.take([entry(number, session=f"ses_{number // 2:05}", cost=number) for number in range(4000)])
        with database.transaction() as connection:
            connection.exec_driver_sql("ANALYZE TABLE usage_session_months")
        reading = UsageReader(Figures(database), EventArchive(database))
        with asked(database) as questions:
            lines = reading.groups(owner, WORKSPACE, MONTH, Dimension.SESSION, None, 2)
        assert [(line.group, line.sums.cost) for line in lines] == [("ses_01999", 7997), ("ses_01998", 7993)]
        ((statement, parameters),) = questions
        with database.transaction() as connection:
            (step,) = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings()
        assert step["key"] == "ix_usage_session_months_cost"
        assert "filesort" not in step["Extra"]

    def test_days_around_whole_months_are_read_by_day_and_hours_around_them_by_hour(
        self, database: Database, ingest: Ingest
    ) -> None:
        ingest.take([entry(number, at=NOON + (number - 40) * DAY + number % 24 * HOUR, cost=1) for number in range(80)])
        reading = UsageReader(Figures(database), EventArchive(database))
        since, until = datetime(2025, 10, 20, 7), datetime(2026, 1, 3, 9)  # noqa: DTZ001 - UTC without a zone
        with asked(database) as statements:
            total = reading.total(owner, WORKSPACE, Selection(since=since, until=until))
        assert all(
            name in statements[0][0] for name in ("usage_breakdown_months", "usage_breakdown_days", "usage_hours")
        )
        assert total.calls == sum(since <= row["at"] < until for row in rows(database, usage_events))

    @pytest.mark.parametrize("dimension", [Dimension.MEMBER, Dimension.SERVICE_ACCOUNT])
    @pytest.mark.parametrize("value", ["", ANN, ROBOT])
    def test_members_and_service_accounts_are_told_apart(
        self, database: Database, ingest: Ingest, dimension: Dimension, value: str
    ) -> None:
        ingest.take([each for each in CALLS if each.event.workspace_id == WORKSPACE])
        reading = UsageReader(Figures(database), EventArchive(database))
        column = usage_days.c.member_id if dimension is Dimension.MEMBER else usage_days.c.service_account_id
        expected = sum(row["calls"] for row in rows(database, usage_days) if row[column.name] == value)
        only = msgspec.structs.replace(MONTH, only={dimension: value})
        assert reading.total(owner, WORKSPACE, only).calls == expected

    def test_a_member_reads_own_calls_by_model_through_an_index(self, database: Database, ingest: Ingest) -> None:
        ingest.take([entry(number, member_id=f"mem_{number:026d}", model=f"m-{number % 7}") for number in range(2000)])
        with database.transaction() as connection:
            connection.exec_driver_sql("ANALYZE TABLE usage_days")
        reading = UsageReader(Figures(database), EventArchive(database))
        me = reader(Role.MEMBER, who=f"mem_{5:026d}")
        with asked(database) as questions:
            (line,) = reading.groups(me, WORKSPACE, MONTH, Dimension.MODEL, None, 10)
        assert line.group == "m-5"
        ((statement, parameters),) = questions
        with database.transaction() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings().all()
        assert {step["key"] for step in plan if step["table"] == "usage_days"} == {
            "ix_usage_days_workspace_id_member_id_start"
        }
