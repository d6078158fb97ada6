"""Inspection of requests of generateContent: the facts on which the gateway decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from opencode_cloud.catalogue.models import STANDARD_TIER
from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.models import Block, TextBlock
from opencode_cloud.gateway.formats.reading import Node, snake
from opencode_cloud.gateway.formats.service_tiers import tier_name

AnyBlock = TypeVar("AnyBlock", bound=Block)
_CLIENT_TOOLS = ("functionDeclarations", "computerUse")


def inspect(node: Node, facts: RequestFacts) -> None:
    """Collect the facts. Raises :class:`Malformed` for a request that is not in the format."""
    if node.text("cachedContent"):
        facts.unknown_size("cachedContent")
        facts.stores("cachedContent")
    for content in (*node.each("contents"), node.at("systemInstruction")):
        for part in parts_of(content):
            inspect_part(part, facts)
    _inspect_tools(node, facts)
    config = node.at("generationConfig")
    for modality in config.texts("responseModalities"):
        facts.wants(modality.lower(), "generationConfig.responseModalities")
    facts.tier = tier_name(node.text("serviceTier")) or STANDARD_TIER  # Google has no default of a project


def _inspect_tools(node: Node, facts: RequestFacts) -> None:
    """Leave out hosted tools. One entry may hold several tools, and the choice names only functions."""
    kept: list[dict[str, Any]] = []
    for tool in node.each("tools"):
        own = {name: value for name, value in tool.members().items() if _is_own(name)}
        for name in tool.members().keys() - own.keys():
            facts.leaves_out(f"tools.{name}")
        if own:
            kept.append(own)
    if facts.dropped:
        facts.changes["tools"] = kept or None
        if not kept:
            facts.changes |= {name: None for name in ("toolConfig", "tool_config") if name in node.members()}


def _is_own(name: str) -> bool:
    return name in (*_CLIENT_TOOLS, *map(snake, _CLIENT_TOOLS))


def parts_of(content: Node) -> list[Node]:
    """Return the parts of a content. A single part may come without an array."""
    parts = content.at("parts")
    return [parts] if isinstance(parts.value, dict) else list(content.each("parts"))


def joined(blocks: Iterable[AnyBlock]) -> tuple[AnyBlock, ...]:
    """Return blocks in which neighbouring texts are one: Google splits one text into several parts."""
    written: list[AnyBlock] = []
    for block in blocks:
        last = written[-1] if written else None
        if isinstance(block, TextBlock) and isinstance(last, TextBlock):
            written[-1] = msgspec.structs.replace(last, text=last.text + block.text)
        else:
            written.append(block)
    return tuple(written)


def inspect_part(part: Node, facts: RequestFacts) -> None:
    """Collect the facts of one part."""
    for key in ("inlineData", "fileData"):
        media = part.at(key)
        if media.present():
            _inspect_media(media, facts)
    for inner in part.at("functionResponse").each("parts"):
        inspect_part(inner, facts)


def _inspect_media(media: Node, facts: RequestFacts) -> None:
    if media.text("mimeType").startswith("image/"):
        facts.images += 1
    else:
        facts.file(media.path, media.text("mimeType"))
    if media.text("fileUri"):
        facts.unknown_size(f"a file by URL ({media.path})")
