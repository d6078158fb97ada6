"""Backoff: pauses are random below a ceiling that doubles, and their number is bounded."""

from __future__ import annotations

import pytest

from opencode_cloud.kit.retry import Backoff, retry, retry_async


def ceilings(backoff: Backoff, number: int) -> list[float]:
    pauses = backoff.pauses(draw=lambda: 1.0, clock=lambda: 0.0)
    return [pause for _, pause in zip(range(number), pauses, strict=False)]


class Flaky:
    """A function that fails a number of times, then answers."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.left = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error(f"failure {self.calls}")
        return "answer"

    async def later(self) -> str:
        return self()


def test_ceilings_double_up_to_the_limit() -> None:
    assert ceilings(Backoff(first=1, longest=5, attempts=6), 10) == [1, 2, 4, 5, 5]


def test_one_attempt_has_no_pause() -> None:
    assert ceilings(Backoff(first=1, longest=5, attempts=1), 10) == []


def test_a_pause_is_drawn_between_nothing_and_the_ceiling() -> None:
    draws = iter([0.0, 0.25, 0.999])
    pauses = list(Backoff(first=1, longest=8, attempts=4).pauses(draw=lambda: next(draws)))
    assert pauses == [0.0, 0.5, 4 * 0.999]


def test_pauses_end_when_the_time_is_over() -> None:
    now = iter([100.0, 101.0, 102.0, 102.5])
    pauses = Backoff(first=1, longest=1, seconds=2).pauses(draw=lambda: 1.0, clock=lambda: next(now))
    assert list(pauses) == [1, 1]


def test_thousands_of_attempts_do_not_overflow() -> None:
    assert Backoff(first=0.002, longest=0.04, seconds=1).ceiling(100_000) == 0.04


def test_a_backoff_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="bounded"):
        Backoff(first=1, longest=1)


def test_a_call_is_retried_until_it_answers() -> None:
    slept: list[float] = []
    flaky = Flaky(2)
    assert retry(flaky, Backoff(1, 8, attempts=3), ConnectionError, sleep=slept.append) == "answer"
    assert flaky.calls == 3
    assert len(slept) == 2
    assert slept[0] <= 1
    assert slept[1] <= 2


def test_the_last_error_is_raised_when_attempts_are_used_up() -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError, match="failure 3"):
        retry(flaky, Backoff(1, 8, attempts=3), ConnectionError, sleep=lambda _: None)
    assert flaky.calls == 3


def test_other_errors_are_raised_at_once() -> None:
    flaky = Flaky(1, ValueError)
    with pytest.raises(ValueError, match="failure 1"):
        retry(flaky, Backoff(1, 8, attempts=3), ConnectionError, sleep=lambda _: None)
    assert flaky.calls == 1


def test_an_error_for_which_the_condition_does_not_hold_is_raised_at_once() -> None:
    flaky = Flaky(1)
    with pytest.raises(ConnectionError):
        retry(flaky, Backoff(1, 8, attempts=3), ConnectionError, when=lambda _: False, sleep=lambda _: None)
    assert flaky.calls == 1


async def test_the_event_loop_follows_the_same_rule() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    flaky = Flaky(2)
    assert await retry_async(flaky.later, Backoff(1, 8, attempts=3), ConnectionError, sleep=sleep) == "answer"
    assert len(slept) == 2
    with pytest.raises(ConnectionError, match="failure 2"):
        await retry_async(Flaky(9).later, Backoff(1, 8, attempts=2), ConnectionError, sleep=sleep)
