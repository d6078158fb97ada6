"""Settings of a function: declared by a dataclass, read from the environment, refused in one sentence."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from opencode_cloud.kit.settings import InvalidSetting, Separator, load, variables


@dataclass(frozen=True, kw_only=True)
class Table:
    things_table: Annotated[str, "the name of the table of things"]


@dataclass(frozen=True, kw_only=True)
class Everything(Table):
    mode: Annotated[Literal["fast", "safe"], "how things are made"]
    keys: Annotated[tuple[str, ...], "the ARNs of the keys", Separator(",")] = ()
    words: Annotated[tuple[str, ...], "the words"] = ()
    most: Annotated[int, "the number of things"] = 5
    open: Annotated[bool, "1 to let everybody in, else 0"] = False


REQUIRED = {"THINGS_TABLE": "t", "MODE": "fast"}


def test_each_type_is_read() -> None:
    given = {**REQUIRED, "KEYS": "a b, c,", "WORDS": " x,y  z ", "MOST": "7", "OPEN": "1", "ANOTHER": "ignored"}
    assert load(Everything, given) == Everything(
        things_table="t", mode="fast", keys=("a b", "c"), words=("x,y", "z"), most=7, open=True
    )


def test_an_empty_variable_counts_as_missing() -> None:
    empty = dict.fromkeys(("KEYS", "WORDS", "MOST", "OPEN"), "")
    assert load(Everything, {**REQUIRED, **empty}) == Everything(things_table="t", mode="fast")


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_missing_variable_is_named_with_what_to_set(missing: str) -> None:
    meaning = {each.name: each.meaning for each in variables(Everything).values()}[missing]
    for given in ({}, {missing: ""}):
        with pytest.raises(InvalidSetting) as refused:
            load(Everything, {**REQUIRED, missing: "", **given})
        assert str(refused.value) == (
            f"The environment variable {missing} is missing: set it to {meaning}, "
            "or deploy the stack of this function again."
        )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("MOST", "many", "a whole number"), ("OPEN", "yes", "0 or 1"), ("MODE", "slow", "fast or safe")],
)
def test_an_invalid_variable_is_named_with_what_to_set(name: str, value: str, expected: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        load(Everything, {**REQUIRED, name: value})
    assert str(refused.value).startswith(f"The environment variable {name} is {value!r}: set it to {expected}, ")


def test_a_variable_is_required_where_its_field_has_no_default() -> None:
    assert {each.name for each in variables(Everything).values() if each.required} == set(REQUIRED)


def test_a_field_without_a_meaning_is_refused() -> None:
    @dataclass(frozen=True)
    class Silent:
        table: str

    with pytest.raises(TypeError, match="table needs a meaning"):
        variables(Silent)
