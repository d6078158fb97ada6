"""A process keeps only some events of a minute."""

from __future__ import annotations

from opencode_cloud.kit.throttle import Throttle


def test_each_subject_has_its_own_limit_for_a_minute() -> None:
    now = 0.0
    throttle = Throttle(2, lambda: now)
    assert [throttle.admits("a") for _ in range(3)] == [True, True, False]
    assert throttle.admits("b")
    now = 60.0
    assert throttle.admits("a")
