"""Schemas of tools that every upstream takes."""

from __future__ import annotations

from typing import Any, cast

_UNIONS = ("anyOf", "oneOf", "allOf")


def object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of an object with ``properties``, without a choice of schemas at the top.

    The branches of such a choice are joined. A property is required if every branch requires it; ``allOf`` requires
    the properties of each branch.
    """
    plain = {**{key: value for key, value in schema.items() if key not in _UNIONS}, "type": "object"}
    properties: dict[str, Any] = dict(_object(plain.get("properties")))
    required = list(_names(plain.get("required")))
    for union in _UNIONS:
        branches = [_object(branch) for branch in _list(schema.get(union))]
        for branch in branches:
            properties = {**_object(branch.get("properties")), **properties}
        needed = [set(_names(branch.get("required"))) for branch in branches]
        if needed:
            joined = set[str].union(*needed) if union == "allOf" else set[str].intersection(*needed)
            required += sorted(joined - set(required))
    plain["properties"] = properties
    if required:
        plain["required"] = required
    return plain


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _names(value: object) -> list[str]:
    return [name for name in _list(value) if isinstance(name, str)]
