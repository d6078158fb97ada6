"""Windows of budgets: every moment is in exactly one window, and windows begin by the calendar."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.budgets.windows import counter, window
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget
from opencode_cloud.contracts.ids import BudgetId

WINDOWED = [period for period in BudgetPeriod if period is not BudgetPeriod.TOTAL]
MOMENTS = st.integers(0, 7_000_000_000)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@given(st.sampled_from(WINDOWED), MOMENTS)
def test_every_moment_is_in_its_window_and_the_next_one_begins_where_it_ends(period: BudgetPeriod, moment: int) -> None:
    found = window(period, moment)
    assert found.resets_at is not None
    assert found.starts_at <= moment < found.resets_at
    assert window(period, found.starts_at) == window(period, found.resets_at - 1) == found
    following = window(period, found.resets_at)
    assert (following.starts_at, following.name == found.name) == (found.resets_at, False)
    assert window(period, found.starts_at - 1).resets_at == found.starts_at


@pytest.mark.parametrize(
    ("period", "moment", "name", "resets"),
    [
        (BudgetPeriod.MINUTE, "2026-11-25T23:59:59", "2026-11-25T23:59", "2026-11-26T00:00:00"),
        (BudgetPeriod.HOUR, "2026-11-25T23:59:59", "2026-11-25T23", "2026-11-26T00:00:00"),
        (BudgetPeriod.DAY, "2028-02-28T12:00:00", "2028-02-28", "2028-02-29T00:00:00"),
        (BudgetPeriod.MONTH, "2028-02-29T23:59:59", "2028-02", "2028-03-01T00:00:00"),
        (BudgetPeriod.MONTH, "2026-12-31T23:59:59", "2026-12", "2027-01-01T00:00:00"),
        (BudgetPeriod.MONTH, "2027-01-01T00:00:00", "2027-01", "2027-02-01T00:00:00"),
    ],
)
def test_windows_follow_the_calendar_in_utc(period: BudgetPeriod, moment: str, name: str, resets: str) -> None:
    found = window(period, at(moment))
    assert (found.name, found.resets_at) == (name, at(resets))


def test_a_total_never_begins_anew() -> None:
    assert window(BudgetPeriod.TOTAL, 0) == window(BudgetPeriod.TOTAL, at("2099-01-01T00:00:00")) == ("total", 0, None)


def test_each_subject_of_a_shared_budget_has_a_counter_of_its_own() -> None:
    known = KnownBudget(
        id=BudgetId("bud_1"), scope=BudgetScope.EACH_MEMBER, unit=BudgetUnit.COST, period=BudgetPeriod.DAY, limit=1
    )
    keys = [counter(known, at("2026-11-25T10:00:00"), member).key for member in ("mem_1", "mem_2", "")]
    assert keys == ["budget#bud_1:mem_1#2026-11-25", "budget#bud_1:mem_2#2026-11-25", "budget#bud_1#2026-11-25"]
