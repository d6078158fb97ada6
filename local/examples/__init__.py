"""Examples of bodies and answers in the document of the API, made from the schemas and tables of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from local.examples.common import AT
from local.examples.fields import TIMES, VALUES
from local.examples.models import VALUES_OF_MODELS

Schema = Mapping[str, Any]


class NoExample(Exception):
    """A field has no value in the table. The message names it."""


def add_examples(document: dict[str, Any]) -> None:
    """Add an example to each JSON body and each successful JSON answer of ``document`` that has none.

    Raises :class:`NoExample` for a field without a value.
    """
    made = _Examples(document["components"]["schemas"])
    for item in document["paths"].values():
        for operation in item.values():
            for content in _contents(operation.get("requestBody", {})):
                content["example"] = made.value(content["schema"], whole=False)
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    for content in _contents(answer):
                        content["example"] = made.value(content["schema"])


def _contents(holder: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = holder.get("content", {}).get("application/json")
    if found and found.get("schema") and "example" not in found:
        yield found


class _Examples:
    """Makes values that fit schemas. ``whole`` answers have all fields, bodies only those that they need."""

    def __init__(self, models: Mapping[str, Schema]) -> None:
        self._models = models

    def value(self, schema: Schema, model: str = "", field: str = "", *, whole: bool = True) -> Any:
        """Return a value of ``schema``, which is that of a ``field`` of a ``model``."""
        listed = _listed(model, field)
        if isinstance(listed, dict):
            return cast("dict[str, Any]", listed)
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if "properties" in self._models[name]:
                return self._object(self._models[name], name, whole=whole)
            return self.value(self._models[name], model, field, whole=whole)
        if "anyOf" in schema:
            return self._either(schema["anyOf"], model, field, whole=whole)
        if schema.get("type") == "array":
            if listed is None or "items" not in schema:
                return []
            return [self.value(schema["items"], model, field, whole=whole)]
        return self._plain(schema, model, field, listed)

    def _object(self, schema: Schema, model: str, *, whole: bool) -> dict[str, Any]:
        properties, required = schema["properties"], schema.get("required", [])
        # A body without a required field changes one thing.
        chosen = properties if whole else [name for name in properties if name in required] or [next(iter(properties))]
        return {name: self.value(properties[name], model, name, whole=whole) for name in chosen}

    def _either(self, choices: Sequence[Schema], model: str, field: str, *, whole: bool) -> Any:
        if any(choice.get("type") == "null" for choice in choices) and _listed(model, field) is None:
            return None
        first = next(choice for choice in choices if choice.get("type") != "null")
        return self.value(first, model, field, whole=whole)

    def _plain(self, schema: Schema, model: str, field: str, listed: Any) -> Any:
        if "enum" in schema:
            return listed if listed in schema["enum"] else schema["enum"][0]
        if schema.get("format") == "date-time":
            return TIMES.get(field, AT)
        match schema.get("type"):
            case "object":
                return {}
            case "boolean":
                return bool(schema.get("default", False))
            case "integer" | "number":
                return listed if isinstance(listed, int) else int(schema.get("minimum", 0))
            case _:
                if listed is _MISSING:
                    raise NoExample(f"{model}.{field} has no example: add it to local/examples")
                return listed


_MISSING: Any = object()


def _listed(model: str, field: str) -> Any:
    if field in TIMES and TIMES[field] is None:
        return None
    return VALUES_OF_MODELS.get(f"{model}.{field}", VALUES.get(field, _MISSING))
