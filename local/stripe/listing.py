"""Lists in pages, newest first, and expansion of ids into objects."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, cast

from local.stripe.account import Account
from local.stripe.errors import refused
from local.stripe.objects import Json, listing

LIMIT = 10
LARGEST_LIMIT = 100
DEEPEST = 4
"""Levels of an expansion."""

Include = Callable[[Account, Json], Any]
INCLUDED: dict[tuple[str, str], Include] = {}
"""Members that are computed, and appear only when they are expanded, by kind of object and name."""


def include(kind: str, name: str) -> Callable[[Include], Include]:
    """Register the function beneath as the source of a member that appears on request."""

    def register(source: Include) -> Include:
        INCLUDED[kind, name] = source
        return source

    return register


def page(objects: Iterable[Json], values: dict[str, Any], url: str) -> Json:
    """Return the page of `objects` (newest first) that `limit`, `starting_after` and `ending_before` ask for.

    Raises:
        StripeError: The limit is out of bounds, or a cursor is no object of the list.
    """
    limit = values.get("limit", LIMIT)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise refused(f"The limit must be from 1 to {LARGEST_LIMIT}.", "parameter_invalid_integer", "limit")
    found = [each for each in objects if _fits(each, values.get("created"))]
    ids = [each["id"] for each in found]
    if "ending_before" in values:
        end = _index(ids, values["ending_before"], "ending_before")
        start = max(0, end - limit)
        return listing(found[start:end], url, has_more=start > 0)
    start = _index(ids, values["starting_after"], "starting_after") + 1 if "starting_after" in values else 0
    return listing(found[start : start + limit], url, has_more=len(found) > start + limit)


def expand(account: Account, answer: Json, paths: list[str]) -> Json:
    """Return a copy of an answer in which the ids at `paths` are objects.

    Raises:
        StripeError: A path names nothing that can be expanded.
    """
    answer = copy.deepcopy(answer)
    for path in paths:
        parts = path.split(".")
        if len([part for part in parts if part != "data"]) > DEEPEST:
            raise refused(f"You cannot expand more than {DEEPEST} levels of a property", None, "expand")
        _expand(account, answer, parts, path)
    return answer


def _expand(account: Account, here: Any, parts: list[str], path: str) -> None:
    if not parts or here is None:
        return
    if isinstance(here, list):
        for each in here:  # pyright: ignore[reportUnknownVariableType]
            _expand(account, each, parts, path)
        return
    name, rest = parts[0], parts[1:]
    members: Json = cast("Json", here) if isinstance(here, dict) else {}
    source = INCLUDED.get((members.get("object", ""), name))
    if name not in members and source is not None:
        members[name] = copy.deepcopy(source(account, members))
    value = members.get(name)
    if isinstance(value, list):
        members[name] = [copy.deepcopy(account.any(each)) if isinstance(each, str) else each for each in value]  # pyright: ignore[reportUnknownVariableType]
    elif isinstance(value, str):
        members[name] = copy.deepcopy(account.any(value))
    if name not in members or (value is not None and members[name] is None):
        raise refused(f"This property cannot be expanded ({path}).", None, "expand")
    _expand(account, members[name], rest, path)


def _fits(made: Json, created: Any) -> bool:
    if created is None or isinstance(created, int):
        return created is None or made["created"] == created
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda at, bound: at > bound,
        "gte": lambda at, bound: at >= bound,
        "lt": lambda at, bound: at < bound,
        "lte": lambda at, bound: at <= bound,
    }
    return all(tests[name](made["created"], bound) for name, bound in created.items())


def _index(ids: list[str], cursor: str, param: str) -> int:
    if cursor not in ids:
        raise refused(f"No such object: '{cursor}'", "resource_missing", param)
    return ids.index(cursor)
