"""Limits that a hub counts in memory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from opencode_cloud.kit.rate_counters import Totals
from opencode_cloud.sharing.hub import spending
from opencode_cloud.sharing.hub.spending import Spending


class Counters:
    """The sums of the store, and the number of writes."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}
        self.writes = 0

    def spend(self, subject: str, seconds: int, amounts: Mapping[str, int]) -> Totals:
        self.writes += 1
        for name, amount in amounts.items():
            self.sums[name] = self.sums.get(name, 0) + amount
        return Totals({name: self.sums[name] for name in amounts}, seconds)


def test_sums_include_everything_of_this_process_and_are_written_now_and_then() -> None:
    counters = Counters()
    with ThreadPoolExecutor(1) as threads:
        spent = Spending(counters.spend, threads)
        totals = [spent.add("share", 86_400, {"bytes": 10}).of("bytes") for _ in range(20)]
    assert totals == list(range(10, 210, 10))
    assert counters.writes == 1


def test_what_others_added_is_known_after_the_next_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "WRITE_SECONDS", -1.0)
    counters = Counters()
    with ThreadPoolExecutor(1) as threads:
        spent = Spending(counters.spend, threads)
        spent.add("share", 86_400, {"bytes": 1})
        counters.sums["bytes"] += 1000
        spent.add("share", 86_400, {"bytes": 1})
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(spent, "_threads", threads)
        assert spent.add("share", 86_400, {"bytes": 1}).of("bytes") == 1003
    assert counters.sums["bytes"] == 1003


def test_several_sums_are_counted_whether_they_are_known_or_not() -> None:
    counters = Counters()
    with ThreadPoolExecutor(1) as threads:
        spent = Spending(counters.spend, threads)
        for expected in (1, 2):
            share, network = spent.add_all([("share", 86_400, {"bytes": 1}), ("network", 86_400, {"items": 1})])
            assert (share.of("bytes"), network.of("items")) == (expected, expected)
