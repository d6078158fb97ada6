"""Changes within a decoded body. All other parts stay as they are, also those that the gateway does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast


def members_of(value: object) -> dict[str, Any]:
    """Return the members of an object; none if the value is anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def edited(value: object, edit: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Any:
    """Return a list whose objects are replaced by what ``edit`` returns; None removes one.

    Elements that are no objects, and values that are no lists, stay as they are.
    """
    if not isinstance(value, list):
        return value
    elements = cast("list[object]", value)
    new = [edit(cast("dict[str, Any]", each)) if isinstance(each, dict) else each for each in elements]
    return [after for before, after in zip(elements, new, strict=True) if after is not None or before is None]


def with_edited(
    members: dict[str, Any], name: str, edit: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> dict[str, Any] | None:
    """Return an object whose list ``name`` is edited; None if the list loses all of its elements."""
    if not members.get(name):
        return members
    left = edited(members[name], edit)
    return {**members, name: left} if left else None
