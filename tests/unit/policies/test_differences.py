"""The differences between two versions."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.json_documents import differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def test_places_are_named_and_what_is_absent_is_left_out() -> None:
    found = differences({"a": 1, "b": {"c/d": [1]}, "e": 0}, {"a": True, "b": {"c/d": [1, 2]}, "f": None})
    assert [each.model_dump(exclude_unset=True) for each in found] == [
        {"path": "/a", "change": "changed", "before": 1, "after": True},
        {"path": "/b/c~1d", "change": "changed", "before": [1], "after": [1, 2]},
        {"path": "/e", "change": "removed", "before": 0},
        {"path": "/f", "change": "added", "after": None},
    ]


@given(JSON, JSON)
def test_there_is_no_difference_exactly_where_json_is_equal(first: Any, second: Any) -> None:
    assert differences(first, first) == []
    if not differences(first, second):
        assert first == second
