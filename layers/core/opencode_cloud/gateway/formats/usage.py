"""Common parts of the readers of usage objects.

Readers are lenient: a member of the wrong form counts as absent, since an oddity of an upstream must not cost the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from opencode_cloud.contracts.usage import Tokens

_MAXIMUM = 1e12  # tokens; a higher count is an error


class UsageCounts:
    """Counts in an object. Absent, negative and malformed counts are 0."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def of(self, *keys: str) -> int:
        """Return the first count that is not 0."""
        return next((count for key in keys if (count := _count(self._members.get(key)))), 0)

    def inner(self, key: str) -> UsageCounts:
        """Return the counts of a nested object."""
        value = self._members.get(key)
        return UsageCounts(cast("dict[str, Any]", value) if isinstance(value, dict) else {})

    def each(self, key: str, kind: str) -> list[UsageCounts]:
        """Return the counts of the entries of a list that are of a type."""
        value = self._members.get(key)
        entries = cast("list[object]", value) if isinstance(value, list) else []
        members = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
        return [UsageCounts(entry) for entry in members if entry.get("type") == kind]

    def audio(self, key: str) -> int | None:
        """Return the tokens of sound in Google's list of counts by modality; None if there is no list."""
        value = self._members.get(key)
        if not isinstance(value, list):
            return None
        counts = [cast("dict[str, Any]", each) for each in cast("list[object]", value) if isinstance(each, dict)]
        return sum(_count(each.get("tokenCount")) for each in counts if each.get("modality") == "AUDIO")


def counts_of(usage: object) -> UsageCounts | None:
    """Return the counts of a usage object; None if it has none."""
    if not isinstance(usage, dict) or not usage:
        return None
    return UsageCounts(cast("dict[str, Any]", usage))


def summed(tokens: Iterable[Tokens]) -> Tokens:
    """Return the sum of several usages."""
    parts = [msgspec.structs.asdict(each) for each in tokens]
    return Tokens(**{name: sum(part[name] for part in parts) for name in Tokens.__struct_fields__})


def with_total(prompt: int, output: int, total: int) -> tuple[int, int]:
    """Return the tokens of prompt and output, of which the total is a witness.

    A part that is missing, or an output that leaves out its reasoning, is the rest of the total.
    """
    if not prompt:
        return (max(0, total - output) if output else 0), output
    return prompt, max(output, total - prompt)


def without_cached(prompt: int, *cached: int) -> int:
    """Return the tokens of a prompt that came from no cache. A prompt smaller than its cached parts leaves them out."""
    return prompt if sum(cached) > prompt else prompt - sum(cached)


def audio_of(audio: int, fresh: int, read: int, cached_audio: int | None = None) -> tuple[int, int]:
    """Return the sound among the fresh tokens of a prompt, and among those that were read from a cache.

    ``audio`` is the sound of the whole prompt. Where the report does not say how much of it was cached, as little as
    possible was.
    """
    cached = min(read, max(audio - fresh, 0) if cached_audio is None else cached_audio)
    return min(fresh, max(audio - cached, 0)), cached


def merge(earlier: Tokens | None, later: Tokens | None) -> Tokens | None:
    """Merge two reports of one call. Counts grow during an answer, so the higher count holds.

    The prompt is taken from one report: an early one may not say yet which part of it came from a cache.
    """
    if earlier is None or later is None:
        return later or earlier
    return msgspec.structs.replace(
        later if later.prompt >= earlier.prompt else earlier,
        output=max(earlier.output, later.output),
        reasoning=max(earlier.reasoning, later.reasoning),
        output_audio=max(earlier.output_audio, later.output_audio),
    )


def _count(value: object) -> int:
    # bool is a subclass of int, and `true` is not a count.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 < value < _MAXIMUM else 0
