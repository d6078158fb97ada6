"""Values of documents: objects, and members that do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast


class Absent:
    """The type of ``ABSENT``."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __deepcopy__(self, memo: Any) -> Absent:
        return self


ABSENT: Final = Absent()
"""Returned where a text has no member at a path. ``None`` is a value of JSON."""


def as_object(value: Any) -> dict[str, Any]:
    """Return a value that is an object, or an empty object for any other."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def at(document: dict[str, Any], path: Sequence[str]) -> Any:
    """Return the value at ``path`` of a document, or ``ABSENT``."""
    value: Any = document
    for name in path:
        value = as_object(value).get(name, ABSENT)
    return value


def as_list(value: Any) -> list[Any]:
    """Return a value that is a list, or an empty list for any other."""
    return cast("list[Any]", value) if isinstance(value, list) else []
