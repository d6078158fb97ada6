"""Amounts, months and days on the usage page."""

from __future__ import annotations

from datetime import datetime

import pytest

from opencode_cloud.console.usage import HEIGHT, bars, month_of
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.models import Sums, UsageLine

NOVEMBER, DECEMBER = datetime(2025, 11, 1), datetime(2025, 12, 1)  # noqa: DTZ001 - UTC without a zone, as in SQL


def day(number: int, cost: int) -> UsageLine:
    return UsageLine(start=NOVEMBER.replace(day=number), group=None, sums=Sums(calls=1, cost=cost))


def test_a_month_begins_on_its_first_and_ends_before_the_next() -> None:
    assert month_of("2025-11") == (NOVEMBER, DECEMBER)
    assert month_of("2025-12")[1] == datetime(2026, 1, 1)  # noqa: DTZ001


@pytest.mark.parametrize("word", ["", "soon", "2025-13", "9999-12"])
def test_what_is_no_past_month_is_the_present_one(word: str) -> None:
    assert month_of(word)[0] == utc_now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_every_day_has_a_bar_and_the_dearest_is_the_highest() -> None:
    drawn = bars([day(2, 1000), day(3, 1), day(30, 500)], NOVEMBER, DECEMBER)
    assert len(drawn) == 30
    assert [drawn[number].height for number in (0, 1, 2, 29)] == [0, HEIGHT, 1, HEIGHT // 2]
    assert drawn[29].words == "2025-11-30: $0.00000500"
    assert all(bar.y + bar.height == HEIGHT for bar in drawn)


def test_a_month_without_calls_has_no_bars() -> None:
    assert {bar.height for bar in bars([], NOVEMBER, DECEMBER)} == {0}
