"""Usage in generateContent (docs/formats.md, "Usage")."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_of_usage
from opencode_cloud.gateway.formats.usage import UsageCounts, counts_of, with_total, without_cached


def read(usage: object) -> Tokens | None:
    """Read a usage object; None if it has no counts."""
    counts = counts_of(usage)
    return None if counts is None else _tokens(counts)


def _tokens(counts: UsageCounts) -> Tokens:
    read, thoughts = counts.of("cachedContentTokenCount"), counts.of("thoughtsTokenCount")
    fresh = without_cached(counts.of("promptTokenCount"), read) + counts.of("toolUsePromptTokenCount")
    generated = counts.of("candidatesTokenCount") + thoughts
    whole, output = with_total(fresh + read, generated, counts.of("totalTokenCount"))
    return Tokens(
        input=whole - read,
        output=output,
        reasoning=thoughts,
        cache_read=read,
    )


def write(tokens: Tokens) -> dict[str, Any]:
    """Write a usage object."""
    return {
        "promptTokenCount": tokens.prompt,
        "cachedContentTokenCount": tokens.cache_read,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "totalTokenCount": tokens.total,
    }


def served_tier(answer: Node) -> str:
    """Return the service tier that served an answer; empty: it does not say."""
    return tier_in(answer.raw("usageMetadata"))


def tier_in(usage: object) -> str:
    """Return the tier in a usage object: of the Gemini API, or of Vertex AI."""
    return tier_of_usage(usage, "serviceTier", "trafficType")
