"""The benchmark of charging counts what it says, and finds books that add up."""

from sqlalchemy import create_engine

from benchmarks.settling import checked, measure
from local.database import OWNER, LocalDatabase
from opencode_cloud.kit.sql import Database


def test_a_small_run_charges_each_event_once(database: Database, database_server: LocalDatabase) -> None:
    figures = measure(database, 1100)
    owner = create_engine(database_server.access.url(OWNER))
    found = checked(owner, 1100)
    owner.dispose()
    assert (found["charged_once"], found["sums_are_right"], found["entries_sum_to_zero"]) == (True, True, True)
    assert 0 < figures["statements_an_event"] < 1
