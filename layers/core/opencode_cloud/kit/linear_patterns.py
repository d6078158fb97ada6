"""Regular expressions that take linear time, whatever the pattern and the text: RE2's.

Patterns and texts are bytes. RE2 knows no look-around and no back-references.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

PROGRAM_BYTES = 8 << 20
"""Memory for the program and the states of one pattern."""
SET_BYTES = 32 << 20
SMALL_PROGRAM_BYTES = 1 << 20
"""Memory for a pattern that a person wrote."""

Span = tuple[int, int]


class InvalidPattern(ValueError):
    """A pattern that RE2 does not take; the message says why."""


class LinearPattern:
    """A compiled pattern; for any number of threads."""

    def __init__(self, pattern: bytes, *, utf8: bool = False, memory: int = PROGRAM_BYTES) -> None:
        """Compile ``pattern``, for text in UTF-8 or for single bytes. Raises :class:`InvalidPattern`."""
        library = _library()
        options = _options(memory)
        options.encoding = library.Options.Encoding.UTF8 if utf8 else library.Options.Encoding.LATIN1
        try:
            self._compiled = library.compile(pattern, options)
        except library.error as error:
            raise InvalidPattern(_reason(error)) from error
        self._groups = range(self._compiled.groups + 1)

    def matches(self, text: bytes) -> Iterator[Sequence[Span]]:
        """Yield the spans of each match: of the whole, then of its groups. The span of an unused group is (-1, -1)."""
        for match in self._compiled.finditer(text):
            yield [match.span(group) for group in self._groups]

    def found_in(self, text: bytes) -> bool:
        """Tell whether the pattern matches anywhere in ``text``."""
        return self._compiled.search(text) is not None


@lru_cache(1024)
def small_pattern(pattern: str) -> LinearPattern:
    """Compile a pattern that a person wrote, for text in UTF-8. Raises :class:`InvalidPattern`."""
    compiled = LinearPattern(pattern.encode(), utf8=True, memory=SMALL_PROGRAM_BYTES)
    if compiled.found_in(b""):
        raise InvalidPattern("it matches the empty text")
    return compiled


class PatternSet:
    """Patterns that are searched together, in one pass over a text; for any number of threads."""

    def __init__(self, patterns: Sequence[bytes], *, ignore_case: bool = False) -> None:
        """Compile ``patterns``. Raises :class:`InvalidPattern`."""
        library = _library()
        options = _options(SET_BYTES)
        options.encoding = library.Options.Encoding.LATIN1
        options.case_sensitive = not ignore_case
        options.never_capture = True
        self._set = library.Set.SearchSet(options)
        try:
            for pattern in patterns:
                self._set.Add(pattern)
            self._set.Compile()
        except library.error as error:
            raise InvalidPattern(_reason(error)) from error

    def found_in(self, text: bytes) -> Sequence[int]:
        """Return the positions, in the set, of the patterns that match anywhere in ``text``."""
        return self._set.Match(text) or ()


def escaped(text: str) -> bytes:
    """Return the pattern of a literal text."""
    return bytes(_library().escape(text.encode()))


def _options(memory: int) -> Any:
    options = _library().Options()
    options.max_mem = memory
    options.log_errors = False
    return options


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


@cache
def _library() -> Any:
    # The library takes 10 ms to load, so it is loaded by the first search (docs/decisions/038).
    return import_module("re2")
