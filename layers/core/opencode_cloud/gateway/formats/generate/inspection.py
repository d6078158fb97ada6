"""Inspection of requests of generateContent: the facts on which the gateway decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.models import Block, TextBlock
from opencode_cloud.gateway.formats.reading import Node, snake

AnyBlock = TypeVar("AnyBlock", bound=Block)
_CLIENT_TOOLS = ("functionDeclarations", "computerUse")


def inspect(node: Node, facts: RequestFacts) -> None:
    """Collect the facts. Raises :class:`Malformed` for a request that is not in the format."""
    if node.text("cachedContent"):
        facts.unknown_size("cachedContent")
    for content in (*node.each("contents"), node.at("systemInstruction")):
        for part in parts_of(content):
            _inspect_part(part, facts)
    for tool in node.each("tools"):
        for name in tool.members():
            if name not in (*_CLIENT_TOOLS, *map(snake, _CLIENT_TOOLS)):
                facts.hosts(name)
    config = node.at("generationConfig")
    for modality in config.texts("responseModalities"):
        if modality.upper() != "TEXT":
            facts.hosts(f"{modality.lower()} output")
    if (tier := node.text("serviceTier").lower()) not in ("", "unspecified", "standard", "flex"):
        facts.tier = tier


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


def _inspect_part(part: Node, facts: RequestFacts) -> None:
    for key in ("inlineData", "fileData"):
        media = part.at(key)
        if media.present():
            _inspect_media(media, facts)
    for inner in part.at("functionResponse").each("parts"):
        _inspect_part(inner, facts)


def _inspect_media(media: Node, facts: RequestFacts) -> None:
    if media.text("mimeType").startswith("image/"):
        facts.images += 1
    else:
        facts.documents += 1
    if media.text("fileUri"):
        facts.unknown_size(f"a file by URL ({media.path})")
