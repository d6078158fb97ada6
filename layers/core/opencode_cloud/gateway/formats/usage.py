"""What each format says of the tokens that a call used, and how to say it in each (docs/formats.md, "Usage").

Readers are lenient: what has the wrong form counts as absent, since no oddity of an upstream may cost the rest.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens


def read_usage(source: Format, usage: object) -> Tokens | None:
    """Return what an upstream's usage object says; None if it says nothing."""
    if not isinstance(usage, dict) or not usage:
        return None
    return _READERS[source](_Counts(cast("dict[str, Any]", usage)))


def merge(earlier: Tokens | None, later: Tokens | None) -> Tokens | None:
    """Return what two reports of one call say together. Counts grow while an answer does, so the higher one holds.

    The prompt is taken from one of them: an early report may not say yet which part of it came from a cache.
    """
    if earlier is None or later is None:
        return later or earlier
    return msgspec.structs.replace(
        later if later.prompt >= earlier.prompt else earlier,
        output=max(earlier.output, later.output),
        reasoning=max(earlier.reasoning, later.reasoning),
    )


_MOST = 1e12  # tokens; more is nonsense


class _Counts:
    """Counts in an object; absent, negative and malformed ones are 0."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def of(self, *keys: str) -> int:
        """Return the first count that is there and not 0."""
        return next((count for key in keys if (count := _count(self._members.get(key)))), 0)

    def inner(self, key: str) -> _Counts:
        """Return the counts of an object within."""
        value = self._members.get(key)
        return _Counts(cast("dict[str, Any]", value) if isinstance(value, dict) else {})


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 < value < _MOST else 0


def _read_chat(usage: _Counts) -> Tokens:
    details = usage.inner("prompt_tokens_details")
    prompt, completion = usage.of("prompt_tokens"), usage.of("completion_tokens")
    read = details.of("cached_tokens") or usage.of(
        "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"
    )
    names = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    written = details.of(*names) or usage.of(*names)
    # A prompt smaller than its cached part does not include it.
    beside = read + written if read + written > prompt else 0
    reasoning = usage.inner("completion_tokens_details").of("reasoning_tokens")
    # Some servers leave reasoning out of the completion; then only the total has it.
    output = max(completion, usage.of("total_tokens") - prompt - beside, reasoning)
    return Tokens(
        input=prompt if beside else prompt - read - written,
        output=output,
        reasoning=reasoning,
        cache_read=read,
        cache_write=written,
    )


def _read_messages(usage: _Counts) -> Tokens:
    by_time = usage.inner("cache_creation")
    hour, five_minutes = by_time.of("ephemeral_1h_input_tokens"), by_time.of("ephemeral_5m_input_tokens")
    output, reasoning = usage.of("output_tokens"), usage.inner("output_tokens_details").of("thinking_tokens")
    return Tokens(
        input=usage.of("input_tokens"),
        output=max(output, reasoning),
        reasoning=reasoning,
        cache_read=usage.of("cache_read_input_tokens"),
        cache_write=max(five_minutes, usage.of("cache_creation_input_tokens") - hour),
        cache_write_1h=hour,
    )


def _read_responses(usage: _Counts) -> Tokens:
    details = usage.inner("input_tokens_details")
    prompt, read, written = usage.of("input_tokens"), details.of("cached_tokens"), details.of("cache_write_tokens")
    reasoning = usage.inner("output_tokens_details").of("reasoning_tokens")
    return Tokens(
        input=max(0, prompt - read - written),
        output=max(usage.of("output_tokens"), reasoning),
        reasoning=reasoning,
        cache_read=read,
        cache_write=written,
    )


def _read_generate(usage: _Counts) -> Tokens:
    read, thoughts = usage.of("cachedContentTokenCount"), usage.of("thoughtsTokenCount")
    return Tokens(
        input=max(0, usage.of("promptTokenCount") - read) + usage.of("toolUsePromptTokenCount"),
        output=usage.of("candidatesTokenCount") + thoughts,
        reasoning=thoughts,
        cache_read=read,
    )


def write_usage(target: Format, tokens: Tokens) -> dict[str, Any]:
    """Return a usage object in the form of ``target``."""
    return _WRITERS[target](tokens)


def _write_chat(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
        },
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _write_messages(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write + tokens.cache_write_1h,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }


def _write_responses(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }


def _write_generate(tokens: Tokens) -> dict[str, Any]:
    return {
        "promptTokenCount": tokens.prompt,
        "cachedContentTokenCount": tokens.cache_read,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "totalTokenCount": tokens.total,
    }


_READERS = {
    Format.CHAT: _read_chat,
    Format.MESSAGES: _read_messages,
    Format.RESPONSES: _read_responses,
    Format.GENERATE: _read_generate,
}
_WRITERS = {
    Format.CHAT: _write_chat,
    Format.MESSAGES: _write_messages,
    Format.RESPONSES: _write_responses,
    Format.GENERATE: _write_generate,
}
