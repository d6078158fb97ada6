"""An upstream that fails several times in a row is skipped for a time. Then one call probes it."""

from __future__ import annotations

import pytest

from opencode_cloud.gateway.models import PLATFORM, Circuit, Failure
from opencode_cloud.gateway.service.health import FAILURES, FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Health

A = Circuit(PLATFORM, "a", "m")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def failing(health: Health, times: int, failure: Failure = Failure.SLOW) -> None:
    for _ in range(times):
        health.failed(A, failure)


def test_few_failures_change_nothing(clock: Clock) -> None:
    health = Health(clock)
    failing(health, FAILURES - 1)
    assert health.is_well(A)


def test_several_in_a_row_give_an_upstream_a_rest(clock: Clock) -> None:
    health = Health(clock)
    failing(health, FAILURES)
    assert not health.is_well(A)
    assert health.is_well(Circuit(PLATFORM, "a", "another model"))
    assert health.is_well(Circuit(PLATFORM, "b", "m"))


def test_after_the_rest_one_caller_tries_it_and_the_others_wait(clock: Clock) -> None:
    health = Health(clock)
    failing(health, FAILURES)
    clock.now = FIRST_REST_SECONDS
    assert [health.is_well(A) for _ in range(3)] == [True, False, False]


def test_rests_grow_up_to_a_minute(clock: Clock) -> None:
    health = Health(clock)
    failing(health, FAILURES)
    for _ in range(10):
        clock.now += LONGEST_REST_SECONDS
        assert health.is_well(A)
        failing(health, 1)
        assert not health.is_well(A)
    clock.now += LONGEST_REST_SECONDS
    assert health.is_well(A)


def test_one_success_forgets_all_failures(clock: Clock) -> None:
    health = Health(clock)
    failing(health, FAILURES)
    health.succeeded(A)
    failing(health, FAILURES - 1)
    assert health.is_well(A)


@pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.CREDENTIAL, Failure.UNKNOWN_MODEL])
def test_what_is_no_fault_of_the_servers_does_not_count(clock: Clock, failure: Failure) -> None:
    health = Health(clock)
    failing(health, 10 * FAILURES, failure)
    assert health.is_well(A)


def test_an_owners_circuits_are_its_own(clock: Clock) -> None:
    health = Health(clock)
    own = A._replace(owner="crd_1")
    for _ in range(FAILURES):
        health.failed(own, Failure.SLOW)
    health.update_shared("crd_2", {A._replace(owner="crd_2"): 60.0})
    assert [health.is_well(A._replace(owner=owner)) for owner in (PLATFORM, "crd_1", "crd_2", "crd_3")] == [
        True,
        False,
        False,
        True,
    ]


def test_a_rest_that_is_over_in_all_processes_is_forgotten(clock: Clock) -> None:
    health = Health(clock)
    health.update_shared(PLATFORM, {A: 60.0})
    health.update_shared(PLATFORM, {})
    assert health.is_well(A)
