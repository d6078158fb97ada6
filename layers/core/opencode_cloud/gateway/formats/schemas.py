"""Schemas of tools that every upstream takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

_UNIONS = ("anyOf", "oneOf", "allOf")


_SCHEMAS = ("items", "additionalProperties", "not")
_LISTS = (*_UNIONS, "prefixItems")
_ANSWERED = frozenset({"type", "description", "title", "enum", "const", "default", "required", "$ref"})
"""Keywords, besides those of structure, that Anthropic takes in the schema of an answer."""
_LOOSE = frozenset(
    (
        *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "contains"),
        *("patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems"),
        *("minProperties", "maxProperties", "uniqueItems"),
    )
)
"""Keywords that OpenAI refuses in the schema of a strict tool."""
_TEXT_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_MAPS = ("properties", "$defs", "definitions")


def complete_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema in which every array says what its items are, and no member is null.

    OpenAI and Google refuse a whole request for one tool with such an array ("array schema missing items").
    """
    complete: dict[str, Any] = {}
    for name, value in schema.items():
        if value is None and name in ("properties", "required", "items", *_LISTS):
            continue
        if name in _SCHEMAS:
            complete[name] = _completed(value)
        elif name in _LISTS:
            complete[name] = [_completed(each) for each in _list(value)]
        elif name in _MAPS:
            complete[name] = {key: _completed(each) for key, each in _object(value).items()}
        else:
            complete[name] = value
    kind: object = schema.get("type")
    if kind == "array" or (isinstance(kind, list) and "array" in kind):
        complete.setdefault("items", {})
    return complete


def closed_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that Anthropic takes for an answer or a strict tool, as its own SDK writes it.

    Its objects are closed, and every keyword that it does not know stands in the description, where the model reads it.
    """
    kind: object = schema.get("type")
    kinds = cast("list[object]", kind) if isinstance(kind, list) else [kind]
    closed: dict[str, Any] = {}
    rest: list[str] = []
    for name, value in schema.items():
        if name == "oneOf":
            closed["anyOf"] = [_closed(each) for each in _list(value)]
        elif name in ("anyOf", "allOf"):
            closed[name] = [_closed(each) for each in _list(value)]
        elif name in _MAPS:
            closed[name] = {key: _closed(each) for key, each in _object(value).items()}
        elif name == "items":
            closed[name] = _closed(value)
        elif (
            name in _ANSWERED
            or (name == "minItems" and value in (0, 1))
            or (name == "format" and value in _TEXT_FORMATS)
        ):
            closed[name] = value
        elif name not in ("additionalProperties", "$schema"):
            rest.append(f"{name}: {value}")
    if "object" in kinds or "properties" in closed:
        closed["additionalProperties"] = False
    if rest:
        description = closed.get("description")
        closed["description"] = "\n\n".join(filter(None, (description, "{" + ", ".join(rest) + "}")))
    return closed


def is_closed(schema: dict[str, Any]) -> bool:
    """Tell whether OpenAI takes a schema for a strict tool: its objects are closed, and require each property."""
    kind: object = schema.get("type")
    properties = _object(schema.get("properties"))
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or properties:
        closed = schema.get("additionalProperties") is False and set(_names(schema.get("required"))) == set(properties)
        if not closed:
            return False
    return not _LOOSE & schema.keys() and all(is_closed(each) for each in _within(schema))


def _within(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas directly within a schema."""
    for name, value in schema.items():
        if name in _MAPS:
            yield from map(_object, _object(value).values())
        elif name in _LISTS:
            yield from map(_object, _list(value))
        elif name == "items":
            yield _object(value)


def _closed(value: object) -> object:
    return closed_schema(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


def _completed(value: object) -> object:
    return complete_schema(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


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
