"""Folding a log: per key the last arrival wins, for any order of the records (invariant I3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.fold import Fold

LOGS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=20).map(
    lambda log: [Item(key=key, type="t", seq=seq, at=at) for seq, (key, at) in enumerate(log, 1)]
)


@given(LOGS, st.randoms())
def test_the_order_of_folding_does_not_matter(log: list[Item], random: object) -> None:
    shuffled = list(log)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Fold(log).items() == Fold(shuffled).items()


@given(LOGS)
def test_folding_twice_changes_nothing(log: list[Item]) -> None:
    assert Fold([*log, *log]).items() == Fold(log).items()


@given(LOGS)
def test_the_winner_of_a_key_is_its_last_arrival_and_of_two_at_once_the_later_commit(log: list[Item]) -> None:
    for winner in Fold(log).items():
        rivals = [item for item in log if item.key == winner.key]
        assert winner == max(rivals, key=lambda item: (item.at, item.seq))


@given(LOGS, st.integers(0, 20))
def test_a_snapshot_folded_with_the_tail_is_the_whole_log_folded(log: list[Item], cut: int) -> None:
    assert Fold([*Fold(log[:cut]).items(), *log[cut:]]).items() == Fold(log).items()


@given(LOGS, st.integers(0, 20))
def test_who_has_everything_up_to_a_number_needs_only_what_is_after_it(log: list[Item], after: int) -> None:
    had = Fold(log[:after])
    had.add(Fold(log).items(after))
    assert had.items() == Fold(log).items()
