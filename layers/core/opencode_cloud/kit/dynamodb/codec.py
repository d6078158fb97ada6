"""Rows in DynamoDB's own form, in which each value is named by its type: ``{"S": "text"}``, ``{"N": "1"}``.

Stores write expressions and rows with nested values in that form. :func:`encode` and :func:`decode` are for flat rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Item = dict[str, Any]
"""A row or a primary key."""
Scalar = str | int | bool | bytes


def primary_key(partition: str, sort: str | None = None) -> Item:
    """Return a primary key (``pk``, ``sk``); without ``sort`` that of a table that has no sort key."""
    return {"pk": {"S": partition}} if sort is None else {"pk": {"S": partition}, "sk": {"S": sort}}


def encode(values: Mapping[str, Scalar]) -> Item:
    """Return plain values as attributes."""
    return {name: _encode(value) for name, value in values.items()}


def decode(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a flat row: numbers as integers, binary values as bytes.

    Raises:
        ValueError: A number is no integer, or a value is of a type that :func:`encode` does not write.
    """
    return {name: _decode(name, attribute) for name, attribute in row.items()}


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
            return bytes(value)
        case "S" | "BOOL":
            return value
        case _:
            raise ValueError(f"the attribute {name} is of type {kind}, which is no plain value")
