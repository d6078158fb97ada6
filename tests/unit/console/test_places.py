"""Positions of values in a JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.console.places import excerpt, parse, positions
from opencode_cloud.kit.json_documents import DocumentFault

TEXT = '{\n  "a": [1,\n    {"b/c": null}],\n  "d": {}\n}'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_faults_are_shown_at_their_lines_with_those_around() -> None:
    faults = [DocumentFault(path="/a/1/b~1c", message="wrong"), DocumentFault(path="/d/missing", message="required")]
    shown = {line.number: list(line.faults) for line in excerpt(TEXT, faults)}
    assert shown == {1: [], 2: [], 3: ["/a/1/b~1c: wrong"], 4: ["/d/missing: required"], 5: []}


def test_a_fault_of_the_whole_is_shown_at_the_beginning() -> None:
    assert excerpt(TEXT, [DocumentFault(path="", message="too long")])[0].faults == ["The document: too long"]


@given(VALUES, st.sampled_from([None, 1, 4]))
def test_every_value_of_any_json_has_a_place(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    def count(each: Any) -> int:
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        return 1 + sum(map(count, inner))

    assert len(positions(text)) == count(value)


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse('{"a": {"b": 1, "b": 2}}')
