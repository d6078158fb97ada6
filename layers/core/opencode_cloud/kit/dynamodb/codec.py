"""Rows in DynamoDB's own form, in which each value is named by its type: ``{"S": "text"}``, ``{"N": "1"}``.

Stores write expressions in that form. :func:`encode` and :func:`decode` are for flat rows of plain values,
:func:`encode_struct` and :func:`decode_struct` for models.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

Item = dict[str, Any]
"""A row or a primary key."""
Scalar = str | int | bool | bytes
T = TypeVar("T")


def primary_key(partition: str, sort: str | None = None) -> Item:
    """Return a primary key (``pk``, ``sk``); without ``sort`` that of a table that has no sort key."""
    return {"pk": {"S": partition}} if sort is None else {"pk": {"S": partition}, "sk": {"S": sort}}


def binary(attribute: Mapping[str, Any]) -> bytes:
    """Return a binary attribute's value: as bytes of a row to be written, or as base64 of an answer."""
    value: bytes | str = attribute["B"]
    return b64decode(value) if isinstance(value, str) else bytes(value)


def encode(values: Mapping[str, Scalar]) -> Item:
    """Return plain values as attributes."""
    return {name: _encode(value) for name, value in values.items()}


def decode(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a flat row: numbers as integers, binary values as bytes.

    Raises:
        ValueError: A number is no integer, or a value is of a type that :func:`encode` does not write.
    """
    return {name: _decode(name, attribute) for name, attribute in row.items()}


def encode_struct(model: msgspec.Struct) -> Item:
    """Return the fields of ``model`` as attributes, by their names. A field that is None has no attribute."""
    return _nested(msgspec.to_builtins(model, builtin_types=(bytes,)))


def decode_struct(row: Mapping[str, Any], model: type[T], **other: Any) -> T:
    """Return the ``model`` whose fields :func:`encode_struct` wrote into ``row``. Other attributes are ignored.

    ``other`` holds fields that are not attributes of that name.

    Raises:
        msgspec.ValidationError: The row lacks a field, or holds a value of another type.
    """
    plain = {name: _plain(attribute) for name, attribute in row.items()}
    return msgspec.convert({**plain, **other}, model, builtin_types=(bytes,))


def _nested(values: Mapping[str, Any]) -> Item:
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"M": _nested(cast("dict[str, Any]", value))}
    if isinstance(value, list | tuple):
        return {"L": [_attribute(element) for element in cast("Sequence[Any]", value)]}
    return _encode(value)


def _plain(attribute: Mapping[str, Any]) -> Any:
    if "M" in attribute:
        return {name: _plain(value) for name, value in attribute["M"].items()}
    if "L" in attribute:
        return [_plain(element) for element in attribute["L"]]
    return _decode("a nested attribute", attribute)


def _encode(value: Scalar) -> dict[str, Any]:
    if isinstance(value, bool):  # before int, of which bool is a subclass
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"B": value} if isinstance(value, bytes) else {"S": value}


def _decode(name: str, attribute: Mapping[str, Any]) -> Any:
    [(kind, value)] = attribute.items()
    match kind:
        case "N":
            return int(value)
        case "B":
            return binary(attribute)
        case "S" | "BOOL":
            return value
        case _:
            raise ValueError(f"the attribute {name} is of type {kind}, which is no plain value")
