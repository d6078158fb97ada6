"""The model of capacity: its page is the one in docs, and its sums follow from its parts."""

import json

import pytest

from benchmarks.planning import DOCUMENT, RECORDED, TEAMS, Habits, Plan, document
from benchmarks.scale.facts import read


@pytest.fixture
def plans() -> list[Plan]:
    recorded = json.loads(RECORDED.read_text())
    return [Plan(developers, Habits(), recorded, read()) for developers in TEAMS]


def test_the_page_in_docs_is_written_from_the_record() -> None:
    assert DOCUMENT.read_text() == document(Habits(), json.loads(RECORDED.read_text()))


def test_load_and_use_grow_with_the_team_and_the_idle_stage_does_not(plans: list[Plan]) -> None:
    small, large = plans[0], plans[1]
    assert large.a_month()["model calls"] == 10 * small.a_month()["model calls"]
    by_name = [{it.name: it.used for it in plan.loads()} for plan in plans]
    assert by_name[1]["reserved streams"] == pytest.approx(10 * by_name[0]["reserved streams"])
    assert large.costs()["idle"] == small.costs()["idle"]
    assert large.member_usd() == pytest.approx(small.member_usd())


def test_the_first_limit_is_the_quota_that_is_used_most(plans: list[Plan]) -> None:
    for plan in plans:
        parts = [load.part for load in plan.loads()]
        assert parts == sorted(parts, reverse=True)
    assert plans[0].loads()[0].part < 1, "a small team fits into AWS's defaults"


def test_a_session_that_nobody_watches_costs_less() -> None:
    recorded = json.loads(RECORDED.read_text())
    alone = Plan(50, Habits(viewers=0), recorded, read())
    assert 0 < alone.share_usd() < Plan(50, Habits(), recorded, read()).share_usd()
