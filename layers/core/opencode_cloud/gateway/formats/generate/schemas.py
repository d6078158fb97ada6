"""Conversion of the OpenAPI dialect of Google's ``parameters`` and ``responseSchema`` to JSON Schema."""

from __future__ import annotations

from typing import Any, cast

_SCHEMAS = ("items", "additionalProperties", "not")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "defs", "$defs")
_NAMES = {
    "any_of": "anyOf",
    "max_items": "maxItems",
    "min_items": "minItems",
    "max_length": "maxLength",
    "min_length": "minLength",
    "max_properties": "maxProperties",
    "min_properties": "minProperties",
    "additional_properties": "additionalProperties",
}
_NUMBERS = ("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties")  # written as text
_DROPPED = ("nullable", "propertyOrdering", "property_ordering", "example")


def to_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema as JSON Schema: types in lower case, ``nullable`` as a type, numbers as numbers."""
    converted: dict[str, Any] = {}
    for given, value in schema.items():
        key = _NAMES.get(given, given)
        if key in _DROPPED:
            continue
        if key == "type" and isinstance(value, str):
            converted[key] = value.lower()
        elif key in _NUMBERS and isinstance(value, str) and value.isdecimal():
            converted[key] = int(value)
        else:
            converted[key] = _inner(key, value)
    if schema.get("nullable") is True:
        if isinstance(converted.get("type"), str):
            converted["type"] = [converted["type"], "null"]
        if isinstance(converted.get("enum"), list):
            converted["enum"] = [*converted["enum"], None]
    return converted


def _inner(key: str, value: object) -> object:
    if key in _SCHEMAS:
        return _schema(value)
    if key in _LISTS and isinstance(value, list):
        return [_schema(schema) for schema in cast("list[object]", value)]
    if key in _MAPS and isinstance(value, dict):
        return {name: _schema(schema) for name, schema in cast("dict[str, object]", value).items()}
    return value


def _schema(value: object) -> object:
    return to_json_schema(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
