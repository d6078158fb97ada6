"""Events are counted in fixed windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opencode_cloud.kit import aws, rate_counters
from opencode_cloud.kit.rate_counters import Count, count_event

if TYPE_CHECKING:
    from tests.unit.aws import Cloud


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [600]
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: now[0])
    return now


def test_a_window_counts_until_it_ends(cloud: Cloud, at: list[int]) -> None:
    table = cloud.table("sessions")
    assert count_event(aws.dynamodb(), table, "a", 60) == Count(1, 60)
    at[0] += 59
    assert count_event(aws.dynamodb(), table, "a", 60) == Count(2, 1)
    assert count_event(aws.dynamodb(), table, "b", 60) == Count(1, 1)
    at[0] += 1
    assert count_event(aws.dynamodb(), table, "a", 60) == Count(1, 60)


def test_a_row_expires_one_window_after_its_own(cloud: Cloud, at: list[int]) -> None:
    table = cloud.table("sessions")
    count_event(aws.dynamodb(), table, "a", 60)
    assert [int(row["ttl"]["N"]) for row in cloud.rows(table)] == [at[0] + 120]
