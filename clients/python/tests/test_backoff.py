from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud_client import Backoff


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_stay_below_a_doubling_bound(attempt: int, chance: float) -> None:
    backoff = Backoff(first=0.25, ceiling=30.0)
    delay = backoff.delay(attempt, lambda: chance)
    assert 0 <= delay <= 30
    assert delay <= 0.25 * 2 ** min(attempt - 1, 10)


def test_bound_doubles_up_to_the_ceiling() -> None:
    backoff = Backoff(first=1, ceiling=10)
    assert [backoff.delay(n, lambda: 1.0) for n in (1, 2, 3, 4, 5, 6)] == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(("attempts", "failures", "exhausted"), [(None, 10**6, False), (3, 2, False), (3, 3, True)])
def test_gives_up_after_the_permitted_attempts(attempts: int | None, failures: int, exhausted: bool) -> None:
    assert Backoff(attempts=attempts).exhausted(failures) is exhausted
