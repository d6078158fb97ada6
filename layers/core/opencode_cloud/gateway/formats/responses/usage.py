"""Usage in Responses (docs/formats.md, "Usage")."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.usage import UsageCounts, audio_of, counts_of, with_total, without_cached


def read(usage: object) -> Tokens | None:
    """Read a usage object; None if it has no counts."""
    counts = counts_of(usage)
    return None if counts is None else _tokens(counts)


def _tokens(counts: UsageCounts) -> Tokens:
    details = counts.inner("input_tokens_details")
    prompt, read, written = counts.of("input_tokens"), details.of("cached_tokens"), details.of("cache_write_tokens")
    spoken = counts.inner("output_tokens_details")
    reasoning = spoken.of("reasoning_tokens")
    fresh = without_cached(prompt, read, written)
    generated = max(counts.of("output_tokens"), reasoning)
    whole, output = with_total(fresh + read + written, generated, counts.of("total_tokens"))
    heard, heard_again = audio_of(details.of("audio_tokens"), whole - read - written, read)
    return Tokens(
        input=whole - read - written,
        output=output,
        reasoning=reasoning,
        cache_read=read,
        cache_write=written,
        input_audio=heard,
        cache_read_audio=heard_again,
        output_audio=min(spoken.of("audio_tokens"), output - reasoning),
    )


def write(tokens: Tokens) -> dict[str, Any]:
    """Write a usage object."""
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
