"""Conversion of flat rows to DynamoDB's form and back."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit import aws
from opencode_cloud.kit.dynamodb import decode, decode_struct, encode, encode_struct, primary_key

if TYPE_CHECKING:
    from tests.unit.aws import Cloud

VALUES = st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans() | st.binary())


@given(VALUES)
def test_a_row_comes_back_as_it_was(values: dict[str, str | int | bool | bytes]) -> None:
    found = decode(encode(values))
    assert found == values
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in values.items()}


def test_each_value_is_named_by_its_type() -> None:
    values = {"text": "1", "number": 1, "flag": True, "bytes": b"1"}
    assert encode(values) == {"text": {"S": "1"}, "number": {"N": "1"}, "flag": {"BOOL": True}, "bytes": {"B": b"1"}}


def test_dynamodb_returns_what_was_written(cloud: Cloud) -> None:
    table = cloud.table("sessions")
    values = {"text": "1", "number": -7, "flag": False, "bytes": b"\0"}
    aws.dynamodb().put_item(TableName=table, Item={**primary_key("a"), **encode(values)})
    [row] = cloud.rows(table)
    assert decode(row) == {"pk": "a", **values}


def test_what_is_no_plain_value_is_refused() -> None:
    with pytest.raises(ValueError, match="of type M"):
        decode({"nested": {"M": {}}})


def test_a_key_has_a_sort_key_only_where_the_table_has_one() -> None:
    assert primary_key("a", "b") == {"pk": {"S": "a"}, "sk": {"S": "b"}}
    assert primary_key("a") == {"pk": {"S": "a"}}


class Color(StrEnum):
    RED = "red"


class Inner(msgspec.Struct, frozen=True):
    number: int = 0
    text: str | None = None


class Outer(msgspec.Struct, frozen=True):
    text: str
    raw: bytes = b""
    color: Color = Color.RED
    flag: bool = False
    end: int | None = None
    inner: Inner | None = None


INNERS = st.builds(Inner, st.integers(), st.none() | st.text())
OUTERS = st.builds(
    Outer,
    st.text(),
    st.binary(),
    st.just(Color.RED),
    st.booleans(),
    st.none() | st.integers(),
    st.none() | INNERS,
)


@given(OUTERS)
def test_a_model_comes_back_as_it_was(model: Outer) -> None:
    assert decode_struct(encode_struct(model), Outer) == model


def test_a_field_without_value_has_no_attribute() -> None:
    model = Outer("a", inner=Inner(1))
    assert encode_struct(model).keys() == {"text", "raw", "color", "flag", "inner"}
    assert encode_struct(model)["inner"] == {"M": {"number": {"N": "1"}}}


def test_a_row_with_other_attributes_is_read_and_one_without_a_field_is_refused() -> None:
    row = primary_key("a") | {"raw": {"B": b"1"}}
    assert decode_struct(row, Outer, text="t") == Outer("t", b"1")
    with pytest.raises(msgspec.ValidationError, match="text"):
        decode_struct(row, Outer)
