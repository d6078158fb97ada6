"""Usage in Chat Completions (docs/formats.md, "Usage")."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.usage import UsageCounts, counts_of


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
    # A prompt smaller than its cached part does not include it.
    beside = read + written if read + written > prompt else 0
    reasoning = counts.inner("completion_tokens_details").of("reasoning_tokens")
    # Some servers omit reasoning from the completion. Then only the total includes it.
    output = max(completion, counts.of("total_tokens") - prompt - beside, reasoning)
    return Tokens(
        input=prompt if beside else prompt - read - written,
        output=output,
        reasoning=reasoning,
        cache_read=read,
        cache_write=written,
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
        },
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
