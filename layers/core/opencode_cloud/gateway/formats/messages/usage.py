"""Usage in Messages (docs/formats.md, "Usage")."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_of_usage
from opencode_cloud.gateway.formats.usage import UsageCounts, counts_of, summed


def read(usage: object) -> Tokens | None:
    """Read a usage object; None if it has no counts."""
    counts = counts_of(usage)
    if counts is None:
        return None
    # The tokens of a compaction are billed, and are not part of the counts of the answer.
    compactions = counts.each("iterations", "compaction")
    return summed(map(_tokens, (counts, *compactions))) if compactions else _tokens(counts)


def _tokens(counts: UsageCounts) -> Tokens:
    by_time = counts.inner("cache_creation")
    hour, five_minutes = by_time.of("ephemeral_1h_input_tokens"), by_time.of("ephemeral_5m_input_tokens")
    output, reasoning = counts.of("output_tokens"), counts.inner("output_tokens_details").of("thinking_tokens")
    return Tokens(
        input=counts.of("input_tokens"),
        output=max(output, reasoning),
        reasoning=reasoning,
        cache_read=counts.of("cache_read_input_tokens"),
        cache_write=max(five_minutes, counts.of("cache_creation_input_tokens") - hour),
        cache_write_1h=hour,
    )


def write(tokens: Tokens) -> dict[str, Any]:
    """Write a usage object."""
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


def served_tier(answer: Node) -> str:
    """Return the service tier that served an answer; empty: it does not say."""
    return tier_in(answer.raw("usage"))


def tier_in(usage: object) -> str:
    """Return the tier in a usage object. A fast ``speed`` has a price as a tier has."""
    return tier_of_usage(usage, "speed", "service_tier")
