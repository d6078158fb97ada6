"""Answers that are not streamed, in Messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.messages import usage
from opencode_cloud.gateway.formats.models import ModelReply, ParsedRequest, ReasoningBlock, Stop, TextBlock, ToolCall
from opencode_cloud.gateway.formats.reading import Node, arguments_object, compact
from opencode_cloud.gateway.formats.sealing import seal

REASONS = {
    Stop.END: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.TOOLS: "tool_use",
    Stop.SEQUENCE: "stop_sequence",
    Stop.REFUSAL: "refusal",
}
_STOPS = {reason: stop for stop, reason in REASONS.items()} | {"model_context_window_exceeded": Stop.LENGTH}
EMPTY_USAGE = {"input_tokens": 0, "output_tokens": 0}


def stop_of(reason: str) -> Stop:
    """Return the reason for which an answer ended."""
    return _STOPS.get(reason, Stop.END)


def read(node: Node) -> ModelReply:
    """Read an answer. Raises :class:`Malformed`."""
    if node.text("type") != "message":
        raise node.at("type").wrong("must be message")
    return ModelReply(
        blocks=tuple(_read_blocks(node)),
        stop=stop_of(node.text("stop_reason")),
        stop_sequence=node.text("stop_sequence"),
        tokens=usage.read(node.raw("usage")),
    )


def _read_blocks(node: Node) -> Iterator[TextBlock | ToolCall | ReasoningBlock]:
    for block in node.each("content"):
        match block.text("type"):
            case "text":
                yield TextBlock(block.text("text"))
            case "tool_use":
                arguments = compact(block.mapping("input") or {})
                yield ToolCall(id=block.text("id") or ids.new("toolu_"), name=block.needed("name"), arguments=arguments)
            case "thinking":
                text, signature = block.text("thinking"), block.text("signature")
                yield ReasoningBlock(text=text, origin=Format.MESSAGES, signature=signature)
            case "redacted_thinking":
                yield ReasoningBlock(origin=Format.MESSAGES, signature=block.text("data"), redacted=True)
            case _:
                pass  # results of provider tools, which a conversion never requests


def count(tokens: int) -> dict[str, Any]:
    """Write the count of a prompt."""
    return {"input_tokens": tokens}


def write(reply: ModelReply, parsed: ParsedRequest) -> dict[str, Any]:
    """Write an answer."""
    return {
        "id": ids.new("msg_"),
        "type": "message",
        "role": "assistant",
        "model": parsed.model,
        "content": [_write_block(block) for block in reply.blocks if not isinstance(block, TextBlock) or block.text],
        "stop_reason": REASONS[reply.stop],
        "stop_sequence": reply.stop_sequence or None,
        "usage": usage.write(reply.tokens) if reply.tokens else EMPTY_USAGE,
    }


def _write_block(block: TextBlock | ToolCall | ReasoningBlock) -> dict[str, Any]:
    match block:
        case TextBlock():
            return {"type": "text", "text": block.text}
        case ToolCall():
            arguments = arguments_object(block.arguments)
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": arguments}
        case ReasoningBlock():
            return {"type": "thinking", "thinking": block.text, "signature": seal(block)}
