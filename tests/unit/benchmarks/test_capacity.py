"""The benchmark's sums: sizes and read units by DynamoDB's guide, and round trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from benchmarks.capacity import item_bytes, read_units
from benchmarks.metering import rounds


def test_an_item_is_as_large_as_its_names_and_values() -> None:
    assert (
        item_bytes({"pk": {"S": "abc"}, "n": {"N": "123"}, "b": {"B": b"1234"}, "on": {"BOOL": True}}) == 5 + 4 + 5 + 3
    )


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4000, 1), (4100, 2), (40_000, 10)])
def test_a_read_costs_a_unit_per_started_4_kb_and_half_if_it_may_be_stale(size: int, units: int) -> None:
    rows = [{"d": {"B": b"x" * size}}] if size else []
    assert read_units(rows, consistent=True) == units
    assert read_units(rows, consistent=False) == units / 2


@dataclass
class Made:
    name: str
    started: float
    ended: float


def test_calls_that_overlap_are_one_round_and_those_that_follow_another() -> None:
    query, put, one, two = Made("query", 0, 1), Made("put", 1, 2), Made("post", 2.0, 3.0), Made("post", 2.1, 3.1)
    found = rounds(cast("Any", [query, put, one, two]))
    assert [[call.name for call in group] for group in cast("Any", found)] == [["query"], ["put"], ["post", "post"]]
