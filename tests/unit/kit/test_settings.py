"""Settings of a function: declared by a class, read from the environment, refused in one sentence."""

from typing import Annotated, Literal

import pytest

from opencode_cloud.kit.settings import FunctionSettings, InvalidSetting, Separator, load, variables


class Table(FunctionSettings):
    things_table: Annotated[str, "the name of the table of things"]


class Everything(Table):
    mode: Annotated[Literal["fast", "safe"], "how things are made"]
    keys: Annotated[tuple[str, ...], "the ARNs of the keys", Separator(",")] = ()
    words: Annotated[tuple[str, ...], "the words"] = ()
    most: Annotated[int, "the number of things"] = 5
    open: Annotated[bool, "1 to let everybody in, else 0"] = False


REQUIRED = {"THINGS_TABLE": "t", "MODE": "fast"}


def test_each_type_is_read() -> None:
    given = {**REQUIRED, "KEYS": "a b, c,", "WORDS": " x,y  z ", "MOST": "7", "OPEN": "1", "ANOTHER": "ignored"}
    settings = load(Everything, given)
    assert (settings.things_table, settings.mode, settings.keys) == ("t", "fast", ("a b", "c"))
    assert (settings.words, settings.most, settings.open) == (("x,y", "z"), 7, True)


def test_an_empty_variable_counts_as_missing() -> None:
    empty = dict.fromkeys(("KEYS", "WORDS", "MOST", "OPEN"), "")
    settings = load(Everything, {**REQUIRED, **empty})
    assert (settings.keys, settings.words, settings.most, settings.open) == ((), (), 5, False)


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
    class Silent(FunctionSettings):
        table: str

    with pytest.raises(TypeError, match="table needs a meaning"):
        variables(Silent)
