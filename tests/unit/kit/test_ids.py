"""Ids of rows: ULIDs as the library `python-ulid` reads them, in the order in which they were made."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from opencode_cloud.kit import ids

MILLISECONDS = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


def ulid_of(id_: str) -> ULID:
    return ULID.from_str(id_.removeprefix("row_"))


@given(MILLISECONDS, RANDOM)
def test_an_id_is_the_ulid_of_its_time_and_its_random_bits(milliseconds: int, random: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_ulids", ids._Ulids())  # pyright: ignore[reportPrivateUsage]
        patch.setattr(ids.time, "time_ns", lambda: milliseconds * 1_000_000 + 1)
        patch.setattr(ids.os, "urandom", lambda _: random)
        made = ids.new_id("row")
    assert bytes(ulid_of(made)) == milliseconds.to_bytes(6) + random


@given(st.lists(MILLISECONDS, min_size=2, max_size=20))
def test_ids_ascend_whatever_the_clock_does(moments: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_ulids", ids._Ulids())  # pyright: ignore[reportPrivateUsage]
        times = iter(moments)
        patch.setattr(ids.time, "time_ns", lambda: next(times) * 1_000_000)
        made = [ids.new_id("row") for _ in moments]
    assert made == sorted(set(made))


def test_threads_make_different_ids_with_the_present_time() -> None:
    before = time.time()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ids.new_id, ["row"] * 2000))
    assert len(set(made)) == len(made)
    assert all(before - 0.01 <= ulid_of(id_).timestamp <= time.time() + 0.01 for id_ in made)


@pytest.mark.parametrize(
    ("drawn", "fraction"), [(b"\0" * 7, 0.0), (b"\x80" + b"\0" * 6, 0.5), (b"\xff" * 7, 1 - 2**-53)]
)
def test_a_random_fraction_is_at_least_0_and_below_1(
    drawn: bytes, fraction: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids.os, "urandom", lambda count: drawn[:count])
    assert ids.random_fraction() == fraction
