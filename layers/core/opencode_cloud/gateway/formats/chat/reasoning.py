"""Reasoning in Chat Completions. The format has no member for it, so compatible servers and clients use their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.editing import edited
from opencode_cloud.gateway.formats.models import Block, ReasoningBlock
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.sealing import UNSIGNED, seal, unseal

_SIGNED = ("reasoning_details", "thinking_blocks")
"""Members of a message with signed thoughts: OpenRouter's, and LiteLLM's."""


def read_reasoning(message: Node) -> Iterator[ReasoningBlock]:
    """Yield the reasoning in a message of the assistant."""
    sealed = list(_sealed(message))
    if sealed:
        yield from sealed
    elif text := thought_in(message):
        yield ReasoningBlock(text=text, origin=Format.CHAT)


def thought_in(message: Node) -> str:
    """Return the plain text of the reasoning in a message, or in a part of one in a stream."""
    for key in ("reasoning_content", "reasoning"):
        if isinstance(value := message.raw(key), str) and value:
            return value
    return "".join(detail.text("text") or detail.text("summary") for detail in message.each("reasoning_details"))


def _sealed(message: Node) -> Iterator[ReasoningBlock]:
    for detail in message.each("reasoning_details"):
        if (reasoning := unseal(detail.text("data") or detail.text("signature"))) is not None:
            yield reasoning


def read_call_signature(call: Node) -> ReasoningBlock | None:
    """Return the thought signature of a tool call, in the form of Google's own compatible endpoint."""
    signature = call.at("extra_content").at("google").text("thought_signature")
    return ReasoningBlock(origin=Format.GENERATE, signature=signature) if signature else None


def detail_of(reasoning: ReasoningBlock) -> dict[str, Any]:
    """Return an element of ``reasoning_details`` with the data that the upstream must get back."""
    return {"type": "reasoning.encrypted", "data": seal(reasoning), "format": "opencode-cloud"}


def write_reasoning(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """Return the members of a message to an upstream. It gets only reasoning of an upstream of its kind."""
    texts = [block.text for block in blocks if isinstance(block, ReasoningBlock) and block.origin == Format.CHAT]
    return {"reasoning_content": "\n\n".join(texts)} if any(texts) else {}


def without_thoughts(document: Mapping[str, Any], _model: str) -> dict[str, Any]:
    """Return the members that change for an upstream that cannot verify the thoughts; empty: there are none.

    A call of Gemini gets the signature that Google documents for calls of other models.
    """
    given: Any = document.get("messages")
    messages = edited(given, _unthought)
    return {} if messages == given else {"messages": messages}


def _unthought(message: dict[str, Any]) -> dict[str, Any]:
    members = {name: value for name, value in message.items() if name not in _SIGNED}
    if "tool_calls" in members:
        members["tool_calls"] = edited(members["tool_calls"], _unsigned)
    return members


def _unsigned(call: dict[str, Any]) -> dict[str, Any]:
    if read_call_signature(Node(call)) is None:
        return call
    extra = call["extra_content"]
    return {**call, "extra_content": {**extra, "google": {**extra["google"], "thought_signature": UNSIGNED}}}
