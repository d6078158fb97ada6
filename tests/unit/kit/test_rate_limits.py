"""Rate limits: a number of requests per subject and window, counted across all instances."""

from __future__ import annotations

import pytest

from opencode_cloud.kit import rate_counters
from opencode_cloud.kit.errors import TooManyRequests
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter
from tests.unit.aws import Cloud

LIMIT = RateLimit("api", 2, 60)
BEGIN = 1_800_000_000
"""The start of a window of a minute, in seconds since the epoch."""


class Clock:
    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_counters, "now_seconds", clock)
    return clock


@pytest.fixture
def table(cloud: Cloud) -> str:
    return cloud.table("sessions")


def test_instances_count_together_and_one_too_many_is_refused(table: str, clock: Clock) -> None:
    first, second = RateLimiter(table), RateLimiter(table)
    assert first.take(LIMIT, "ada").remaining == 1
    clock.now += 10
    assert second.take(LIMIT, "ada").headers == {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "50",
    }
    with pytest.raises(TooManyRequests) as raised:
        first.take(LIMIT, "ada")
    assert raised.value.retry_after == 50


def test_the_next_window_begins_anew(table: str, clock: Clock) -> None:
    limiter = RateLimiter(table)
    for _ in range(2):
        limiter.take(LIMIT, "ada")
    clock.now += 60
    assert limiter.take(LIMIT, "ada").remaining == 1


def test_subjects_and_limits_are_counted_apart(table: str, clock: Clock) -> None:
    limiter = RateLimiter(table)
    for subject, limit in (("ada", LIMIT), ("bob", LIMIT), ("ada", RateLimit("refused", 2))):
        assert limiter.take(limit, subject).remaining == 1


def test_counters_name_no_subject_and_expire(cloud: Cloud, table: str, clock: Clock) -> None:
    RateLimiter(table).take(LIMIT, "Bearer secret")
    [row] = cloud.rows(table)
    assert "secret" not in repr(row)
    assert BEGIN + 60 < int(row["ttl"]["N"]) <= BEGIN + 180
