"""What two JSON documents differ in, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from opencode_cloud.policies.models import Change, Difference
from opencode_cloud.policies.validation import pointer

_ABSENT = object()


def differences(before: Any, after: Any) -> list[Difference]:
    """Return each place at which ``after`` differs; lists are compared as a whole, since their order has meaning."""
    return list(_walk(before, after, ()))


def _walk(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in sorted({*old, *new}):
            yield from _walk(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))
    elif before is _ABSENT:
        yield Difference(path=pointer(path), change=Change.ADDED, after=after)
    elif after is _ABSENT:
        yield Difference(path=pointer(path), change=Change.REMOVED, before=before)
    elif not _equal(before, after):
        yield Difference(path=pointer(path), change=Change.CHANGED, before=before, after=after)


def _equal(before: Any, after: Any) -> bool:
    """Compare as JSON does: ``true`` is not ``1``."""
    return before == after and isinstance(before, bool) == isinstance(after, bool)
