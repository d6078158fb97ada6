"""Answers that are not streamed, in generateContent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.generate import usage
from opencode_cloud.gateway.formats.generate.inspection import joined, parts_of
from opencode_cloud.gateway.formats.models import ModelReply, ParsedRequest, ReasoningBlock, Stop, TextBlock, ToolCall
from opencode_cloud.gateway.formats.reading import Node, arguments_object, compact
from opencode_cloud.gateway.formats.sealing import seal

REASONS = {
    Stop.END: "STOP",
    Stop.LENGTH: "MAX_TOKENS",
    Stop.TOOLS: "STOP",
    Stop.SEQUENCE: "STOP",
    Stop.REFUSAL: "SAFETY",
}
NO_REASON = (None, "", "FINISH_REASON_UNSPECIFIED")
"""Reasons that do not end an answer."""
_ENDS = ("STOP", *NO_REASON)


def stop_of(reason: str, *, called: bool) -> Stop:
    """Return the reason for which an answer ended. Filters and failed calls are refusals."""
    if reason == "MAX_TOKENS":
        return Stop.LENGTH
    if reason not in _ENDS:
        return Stop.REFUSAL
    return Stop.TOOLS if called else Stop.END


def is_answer(node: Node) -> bool:
    """Tell whether a document has an answer: a candidate, or the reason for which the prompt was blocked."""
    return bool(node.raw("candidates") or node.at("promptFeedback").raw("blockReason"))


def read(node: Node) -> ModelReply:
    """Read an answer. Raises :class:`Malformed`."""
    candidate = next(node.each("candidates"), None)
    blocked = node.at("promptFeedback").text("blockReason")
    if candidate is None and not blocked:
        raise node.at("candidates").wrong("must have an answer")
    blocks = joined(_read_blocks(candidate)) if candidate is not None else ()
    called = any(isinstance(block, ToolCall) for block in blocks)
    reason = candidate.text("finishReason") if candidate is not None else blocked
    return ModelReply(
        blocks=blocks,
        stop=stop_of(reason, called=called),
        tokens=usage.read(node.raw("usageMetadata")),
    )


def _read_blocks(candidate: Node) -> Iterator[TextBlock | ToolCall | ReasoningBlock]:
    for part in parts_of(candidate.at("content")):
        signature, call = part.text("thoughtSignature"), part.at("functionCall")
        if part.flag("thought"):
            yield ReasoningBlock(text=part.text("text"), origin=Format.GENERATE, signature=signature)
        elif call.present():
            if signature:
                yield ReasoningBlock(origin=Format.GENERATE, signature=signature)
            yield ToolCall(
                id=call.text("id") or ids.new("call_"),
                name=call.needed("name"),
                arguments=compact(call.mapping("args") or {}),
            )
        elif text := part.text("text"):
            yield TextBlock(text)


def count(tokens: int) -> dict[str, Any]:
    """Write the count of a prompt."""
    return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def write(reply: ModelReply, parsed: ParsedRequest) -> dict[str, Any]:
    """Write an answer."""
    candidate = {
        "content": {"role": "model", "parts": list(_write_parts(reply))},
        "finishReason": REASONS[reply.stop],
        "index": 0,
    }
    answer: dict[str, Any] = {
        "candidates": [candidate],
        "modelVersion": parsed.model,
        "responseId": ids.new(""),
    }
    if reply.tokens is not None:
        answer["usageMetadata"] = usage.write(reply.tokens)
    return answer


def _write_parts(reply: ModelReply) -> Iterator[dict[str, Any]]:
    signature = ""
    for block in reply.blocks:
        match block:
            case ReasoningBlock():
                if signature:  # of the block before
                    yield {"text": "", "thought": True, "thoughtSignature": signature}
                if block.text:
                    yield {"text": block.text, "thought": True}
                signature = seal(block)
            case ToolCall():
                yield signed({"functionCall": function_call(block)}, signature)
                signature = ""
            case TextBlock():
                yield signed({"text": block.text}, signature)
                signature = ""
    if signature:
        yield {"text": "", "thought": True, "thoughtSignature": signature}


def signed(part: dict[str, Any], signature: str) -> dict[str, Any]:
    """Return a part with the signature that clients send back with it."""
    return {**part, "thoughtSignature": signature} if signature else part


def function_call(call: ToolCall) -> dict[str, Any]:
    """Return a call as clients get it."""
    return {"id": call.id, "name": call.name, "args": arguments_object(call.arguments)}
