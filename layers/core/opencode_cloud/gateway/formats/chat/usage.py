"""Usage in Chat Completions (docs/formats.md, "Usage")."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.usage import UsageCounts, audio_of, counts_of, with_total, without_cached


def read(usage: object) -> Tokens | None:
    """Read a usage object; None if it has no counts."""
    counts = counts_of(usage)
    return None if counts is None else _tokens(counts)


def _tokens(counts: UsageCounts) -> Tokens:
    details = counts.inner("prompt_tokens_details")
    prompt, completion = counts.of("prompt_tokens"), counts.of("completion_tokens")
    read = details.of("cached_tokens") or counts.of(
        "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"
    )
    names = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    written = details.of(*names) or counts.of(*names)
    generated = counts.inner("completion_tokens_details")
    reasoning = generated.of("reasoning_tokens")
    fresh = without_cached(prompt, read, written)
    whole, output = with_total(fresh + read + written, max(completion, reasoning), counts.of("total_tokens"))
    heard, heard_again = audio_of(details.of("audio_tokens"), whole - read - written, read)
    return Tokens(
        input=whole - read - written,
        output=output,
        reasoning=reasoning,
        cache_read=read,
        cache_write=written,
        input_audio=heard,
        cache_read_audio=heard_again,
        output_audio=min(generated.of("audio_tokens"), output - reasoning),
    )


def write(tokens: Tokens) -> dict[str, Any]:
    """Write a usage object."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
            "audio_tokens": tokens.input_audio + tokens.cache_read_audio,
        },
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": tokens.output_audio},
    }
