"""Compare an answer with the annotations of the library's classes: names, nullability and simple types."""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

from stripe import ListObject, StripeObject

from local.stripe import objects


def problems(value: Any, hint: Any, path: str) -> list[str]:
    """Return what in `value` the type `hint` does not describe."""
    origin = get_origin(hint)
    if origin is Union:
        found = [problems(value, choice, path) for choice in get_args(hint)]
        return [] if [] in found else min(found, key=len)
    if hint is type(None):
        return [] if value is None else [f"{path}: not null"]
    if isinstance(hint, str | ForwardRef):
        return _resource(value, path)
    if origin is Literal:
        return [] if value in get_args(hint) else [f"{path}: {value!r} is none of {get_args(hint)}"]
    if origin is list:
        inner = get_args(hint)[0]
        return [each for index, one in enumerate(value or []) for each in problems(one, inner, f"{path}.{index}")]
    if isinstance(origin or hint, type) and issubclass(origin or hint, ListObject):
        return [each for one in value["data"] for each in problems(one, get_args(hint)[0], f"{path}.data")]
    if isinstance(origin, type) and issubclass(origin, StripeObject):
        return [] if isinstance(value, dict) else [f"{path}: {value!r} is no mapping"]
    if isinstance(hint, type) and issubclass(hint, StripeObject):
        return _members(value, hint, path)
    return [] if hint is Any or _is(value, hint) else [f"{path}: {value!r} is no {hint}"]


def _is(value: Any, hint: Any) -> bool:
    if hint is Decimal:
        return isinstance(value, str)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _resource(value: Any, path: str) -> list[str]:
    kind = value.get("object") if isinstance(value, dict) else None
    if kind in ("plan", "list"):
        return []
    if kind not in objects.CLASSES:
        return [f"{path}: {value!r} is no object"]
    if set(value) == {"id", "object", "deleted"}:
        return []
    return _members(value, objects.CLASSES[kind][1], f"{path}<{kind}>")


def _members(value: Any, kind: type[StripeObject], path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no {kind.__qualname__}"]
    hints: dict[str, Any] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("stripe.") and base is not StripeObject:
            hints = {**inspect.get_annotations(base), **hints}
    found = [f"{path}: unknown field {name}" for name in value if name not in hints]
    for name, hint in hints.items():
        if name in value:
            found += problems(value[name], hint, f"{path}.{name}")
        elif name[0].islower() and not (get_origin(hint) is Union and type(None) in get_args(hint)):
            found.append(f"{path}: {name} is missing")
    return found


def object_problems(value: dict[str, Any]) -> list[str]:
    """Return what the library's class of an object does not describe."""
    return _resource(value, "")
