"""Usage in generateContent (docs/formats.md, "Usage")."""

from __future__ import annotations

from typing import Any

from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_of_usage
from opencode_cloud.gateway.formats.usage import UsageCounts, audio_of, counts_of, with_total, without_cached


def read(usage: object) -> Tokens | None:
    """Read a usage object; None if it has no counts."""
    counts = counts_of(usage)
    return None if counts is None else _tokens(counts)


def _tokens(counts: UsageCounts) -> Tokens:
    read, thoughts = counts.of("cachedContentTokenCount"), counts.of("thoughtsTokenCount")
    fresh = without_cached(counts.of("promptTokenCount"), read) + counts.of("toolUsePromptTokenCount")
    generated = counts.of("candidatesTokenCount") + thoughts
    whole, output = with_total(fresh + read, generated, counts.of("totalTokenCount"))
    audio = (counts.audio("promptTokensDetails") or 0) + (counts.audio("toolUsePromptTokensDetails") or 0)
    heard, heard_again = audio_of(audio, whole - read, read, counts.audio("cacheTokensDetails"))
    return Tokens(
        input=whole - read,
        output=output,
        reasoning=thoughts,
        cache_read=read,
        input_audio=heard,
        cache_read_audio=heard_again,
        output_audio=min(counts.audio("candidatesTokensDetails") or 0, output - thoughts),
    )


def write(tokens: Tokens) -> dict[str, Any]:
    """Write a usage object. Counts by modality stand in it where there is sound."""
    details = {
        "promptTokensDetails": (tokens.prompt, tokens.input_audio + tokens.cache_read_audio),
        "cacheTokensDetails": (tokens.cache_read, tokens.cache_read_audio),
        "candidatesTokensDetails": (tokens.output - tokens.reasoning, tokens.output_audio),
    }
    return {
        "promptTokenCount": tokens.prompt,
        "cachedContentTokenCount": tokens.cache_read,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "totalTokenCount": tokens.total,
        **{name: _by_modality(*counts) for name, counts in details.items() if counts[1]},
    }


def _by_modality(tokens: int, audio: int) -> list[dict[str, Any]]:
    counts = {"TEXT": tokens - audio, "AUDIO": audio}
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items() if count]


def served_tier(answer: Node) -> str:
    """Return the service tier that served an answer; empty: it does not say."""
    return tier_in(answer.raw("usageMetadata"))


def tier_in(usage: object) -> str:
    """Return the tier in a usage object: of the Gemini API, or of Vertex AI."""
    return tier_of_usage(usage, "serviceTier", "trafficType")
