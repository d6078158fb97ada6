"""Daily jobs run apart from each other, and so do the items of a job."""

from __future__ import annotations

import json

import pytest

from opencode_cloud.kit.housekeeping import (
    MOST_IN_A_ROW,
    Housekeeping,
    HousekeepingFailed,
    ItemRuns,
    ItemsFailed,
)


def fail() -> int:
    raise ValueError("broken")


def test_a_job_that_fails_holds_up_no_other_and_is_named() -> None:
    done: list[str] = []

    def job() -> int:
        done.append("second")
        return 1

    with pytest.raises(HousekeepingFailed, match="failed: first"):
        Housekeeping({"first": fail, "second": job}).run()
    assert done == ["second"]
    assert Housekeeping({"second": job}).run() == {"second": 1}


def test_an_item_that_fails_holds_up_no_other_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    runs = ItemRuns()
    for item, work in (("a", lambda: 2), ("b", fail), ("c", lambda: 3), ("d", fail)):
        runs.run(item, work)
    assert runs.total == 5
    with pytest.raises(ItemsFailed, match="2 failed, the first of them b"):
        runs.check()
    assert [json.loads(line)["item"] for line in capsys.readouterr().out.splitlines()] == ["b", "d"]


def test_a_job_without_failures_is_complete() -> None:
    runs = ItemRuns()
    runs.run("a", lambda: 1)
    runs.check()
    assert runs.total == 1


def test_after_many_failures_in_a_row_nothing_is_run_and_the_results_before_count() -> None:
    runs, done = ItemRuns(), list[str]()

    def work() -> int:
        done.append("work")
        return 1

    for _ in range(3):
        for _ in range(MOST_IN_A_ROW - 1):
            runs.run("a", fail)
        runs.run("b", work)
    for _ in range(MOST_IN_A_ROW):
        runs.run("c", fail)
    runs.run("d", work)
    assert (runs.total, len(done)) == (3, 3)
    with pytest.raises(ItemsFailed, match="the first of them a"):
        runs.check()
