"""Ingesting events into MySQL: each is counted once, for any behaviour of the stream."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.usage import (
    usage_breakdown_days,
    usage_breakdown_months,
    usage_counters,
    usage_days,
    usage_events,
    usage_hours,
    usage_metadata,
    usage_session_months,
    usage_sessions,
)
from opencode_cloud.schema.usage_events import counters_of, from_row, to_row
from opencode_cloud.usage.models import Breakdown, Sums
from opencode_cloud.usage.service import Ingest
from opencode_cloud.usage.store.ledger import Ledger
from opencode_cloud.usage.stream import UsageStream
from tests.unit.usage.events import NOON, WORKSPACE, call, distinct, entries, entry, event, rows, totals

ROLLUPS = (usage_hours, usage_days, usage_sessions, usage_session_months)
BREAKDOWNS = (usage_breakdown_days, usage_breakdown_months)
TABLES = (usage_events, usage_metadata, *ROLLUPS, *BREAKDOWNS, usage_counters)


@pytest.fixture
def ingest(database: Database) -> Ingest:
    return Ingest(Ledger(database))


def everything(database: Database) -> list[list[dict[str, Any]]]:
    return [rows(database, table) for table in TABLES]


def empty(database: Database) -> None:
    with database.transaction() as connection:
        for table in TABLES:
            connection.execute(table.delete())


def sums(found: list[SettledEvent]) -> dict[str, int]:
    total = Sums()
    for each in found:
        total.add(each.event)
    return msgspec.structs.asdict(total)


def assert_all_sums_are_of(database: Database, found: list[SettledEvent]) -> None:
    """Assert that each rollup, and each breakdown by day and by month, adds up to all these calls."""
    for rollup in ROLLUPS:
        assert totals(database, rollup) == sums(found)
    for table in BREAKDOWNS:
        for breakdown in Breakdown:
            assert totals(database, table, table.c.breakdown == breakdown) == sums(found), breakdown


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(entries, max_size=25).map(distinct), data=st.data())
def test_any_order_repetition_and_grouping_of_events_leaves_the_same_rows(
    database: Database, ingest: Ingest, found: list[SettledEvent], data: st.DataObject
) -> None:
    empty(database)
    ingest.take(found)
    once = everything(database)
    empty(database)
    stirred = data.draw(st.permutations(found)) + data.draw(
        st.lists(st.sampled_from(found), max_size=20) if found else st.just([])
    )
    while stirred:
        size = data.draw(st.integers(1, len(stirred)))
        ingest.take(stirred[:size])
        stirred = stirred[size:]
    assert everything(database) == once
    assert_all_sums_are_of(database, found)


def test_two_who_take_the_same_events_at_once_count_them_once(database: Database, ingest: Ingest) -> None:
    found = [
        entry(number, ("budget#a#1", f"budget#b#{number % 3}"), model=f"model-{number % 5}", at=NOON + number * 600_000)
        for number in range(200)
    ]

    def take(seed: int) -> int:
        mine = random.Random(seed).sample(found, len(found))
        return sum(ingest.take(mine[start : start + 40]) for start in range(0, len(mine), 40))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take, range(4))) == len(found)
    assert_all_sums_are_of(database, found)
    assert sum(row["requests"] for row in rows(database, usage_counters)) == 2 * len(found)


def test_an_event_that_comes_again_with_new_ones_is_not_counted_again(database: Database, ingest: Ingest) -> None:
    assert ingest.take([entry(1), entry(2)]) == 2
    assert ingest.take([entry(2), entry(3)]) == 1
    assert totals(database, usage_days)["calls"] == 3
    assert totals(database, usage_days)["cost"] == 3 * 150_000_000


def test_a_call_counts_in_the_hour_and_day_in_which_it_arrived_utc(database: Database, ingest: Ingest) -> None:
    ingest.take([entry(1, at=NOON + 12 * 3_600_000 - 1), entry(2, at=NOON + 12 * 3_600_000)])
    assert [row["start"].isoformat() for row in rows(database, usage_hours)] == [
        "2025-11-25T23:00:00",
        "2025-11-26T00:00:00",
    ]
    assert [row["start"].isoformat() for row in rows(database, usage_days)] == [
        "2025-11-25T00:00:00",
        "2025-11-26T00:00:00",
    ]


def test_a_client_with_long_names_is_still_in_the_books(database: Database, ingest: Ingest) -> None:
    assert ingest.take([entry(1, request="r" * 5000, error="é" * 100)]) == 1
    (row,) = rows(database, usage_events)
    assert (row["request"], row["error"], row["cost"]) == ("r" * 64, "é" * 64, 150_000_000)


@given(entries)
def test_a_row_of_dynamodb_gives_the_event_back(found: SettledEvent) -> None:
    row = to_row(found.event, found.counters)
    assert (from_row(row), counters_of(row)) == (found.event, found.counters)


def test_a_row_lies_in_the_partition_of_its_workspace_and_day() -> None:
    row = to_row(event(7, metadata={"client": "opencode"}))
    assert (row["pk"], row["sk"]) == ({"S": f"{WORKSPACE}#2025-11-25"}, {"S": call(7)})
    assert "opencode" not in row["event"]["S"], "metadata ends earlier than the event"


def record(found: SettledEvent, number: int, name: str = "INSERT") -> dict[str, Any]:
    image = to_row(found.event, found.counters)
    return {"eventName": name, "dynamodb": {"SequenceNumber": str(number), "NewImage": image}}


class TestStream:
    def test_a_batch_of_the_stream_is_taken_in(self, database: Database, ingest: Ingest) -> None:
        batch = {"Records": [record(entry(number, ("budget#a#1",)), number) for number in range(3)]}
        assert UsageStream(ingest).handle(batch) == {"batchItemFailures": []}
        assert totals(database, usage_days)["calls"] == 3
        assert rows(database, usage_counters)[0]["cost"] == 3 * 150_000_000

    def test_what_is_no_event_is_answered_as_failed_and_the_others_are_taken(
        self, database: Database, ingest: Ingest
    ) -> None:
        poison = record(entry(1), 1)
        poison["dynamodb"]["NewImage"]["event"] = {"S": "{"}
        nothing = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "2", "NewImage": {"pk": {"S": "x"}}}}
        answer = UsageStream(ingest).handle({"Records": [record(entry(0), 0), poison, nothing, record(entry(3), 3)]})
        assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]}
        assert totals(database, usage_days)["calls"] == 2

    def test_changes_and_deletions_of_rows_are_no_events(self, database: Database, ingest: Ingest) -> None:
        changed = record(entry(1), 1, "MODIFY")
        gone = {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "2", "Keys": {}}}
        assert UsageStream(ingest).handle({"Records": [changed, gone]}) == {"batchItemFailures": []}
        assert rows(database, usage_events) == []
