"""JSON documents: pointers, faults and differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, cast

from pydantic import BaseModel, Field


class DifferenceKind(StrEnum):
    """Kind of a difference."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Difference(BaseModel):
    """A difference of two versions at one place."""

    path: str = Field(description="A JSON pointer (RFC 6901).")
    change: DifferenceKind
    before: Any = Field(default=None, description="null also where something was added.")
    after: Any = Field(default=None, description="null also where something was removed.")


class DocumentFault(BaseModel):
    """A fault of a document, with its place."""

    path: str = Field(description="A JSON pointer (RFC 6901); empty: the document as a whole.")
    message: str


def pointer(path: Sequence[str | int]) -> str:
    """Write a place as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


_ABSENT = object()


def differences(before: Any, after: Any) -> list[Difference]:
    """Return the differences of ``after`` from ``before``. Lists are compared as a whole, since order matters."""
    return list(_walk(before, after, ()))


def _walk(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in sorted({*old, *new}):
            yield from _walk(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))
    elif before is _ABSENT:
        yield Difference(path=pointer(path), change=DifferenceKind.ADDED, after=after)
    elif after is _ABSENT:
        yield Difference(path=pointer(path), change=DifferenceKind.REMOVED, before=before)
    elif not _equal(before, after):
        yield Difference(path=pointer(path), change=DifferenceKind.CHANGED, before=before, after=after)


def _equal(before: Any, after: Any) -> bool:
    """Compare by JSON's rules: ``true`` is not ``1``."""
    return before == after and isinstance(before, bool) == isinstance(after, bool)
