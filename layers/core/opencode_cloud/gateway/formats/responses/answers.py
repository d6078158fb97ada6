"""Answers that are not streamed, in Responses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.models import ModelReply, ParsedRequest, ReasoningBlock, Stop, TextBlock, ToolCall
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.responses import usage
from opencode_cloud.gateway.formats.responses.tools import OfferedTools
from opencode_cloud.gateway.formats.sealing import seal

_SETTINGS: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_logprobs": 0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "truncation": "disabled",
    "user": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
}
"""Settings that an answer repeats, with the vendor's defaults."""


def stop_of(status: str, reason: str, *, called: bool, refused: bool) -> Stop:
    """Return the reason for which an answer ended."""
    if status == "incomplete":
        return Stop.REFUSAL if reason == "content_filter" else Stop.LENGTH
    if status == "failed":
        return Stop.REFUSAL
    return Stop.TOOLS if called else Stop.REFUSAL if refused else Stop.END


def read(node: Node) -> ModelReply:
    """Read an answer. Raises :class:`Malformed`."""
    if not isinstance(node.raw("output"), list):
        raise node.at("output").wrong("must be an array")
    blocks = tuple(block for item in node.each("output") for block in read_item(item))
    called = any(isinstance(block, ToolCall) for block in blocks)
    refused = any(part.text("type") == "refusal" for item in node.each("output") for part in item.each("content"))
    reason = node.at("incomplete_details").text("reason")
    return ModelReply(
        blocks=blocks,
        stop=stop_of(node.text("status"), reason, called=called, refused=refused),
        tokens=usage.read(node.raw("usage")),
    )


def read_item(item: Node) -> Iterator[TextBlock | ToolCall | ReasoningBlock]:
    """Yield the blocks of one item of the output."""
    match item.text("type"):
        case "message":
            for part in item.each("content"):
                if text := part.text("text") or part.text("refusal"):
                    yield TextBlock(text)
        case "function_call":
            yield ToolCall(
                id=item.text("call_id") or item.text("id") or ids.new("call_"),
                name=item.needed("name"),
                arguments=item.text("arguments"),
            )
        case "reasoning":
            texts = [part.text("text") for key in ("summary", "content") for part in item.each(key)]
            yield ReasoningBlock(
                text="\n\n".join(texts),
                origin=Format.RESPONSES,
                signature=item.text("encrypted_content"),
                id=item.text("id"),
            )
        case _:
            pass  # actions of provider tools, which a conversion never requests


def count(tokens: int) -> dict[str, Any]:
    """Write the count of a prompt."""
    return {"object": "response.input_tokens", "input_tokens": tokens}


def write(reply: ModelReply, parsed: ParsedRequest) -> dict[str, Any]:
    """Write an answer."""
    tools = OfferedTools(parsed.document)
    output = [write_item(block, tools) for block in reply.blocks if not isinstance(block, TextBlock) or block.text]
    return finished(frame(parsed.document, parsed.model), output, reply.stop, reply.tokens)


def write_item(block: TextBlock | ToolCall | ReasoningBlock, tools: OfferedTools, item_id: str = "") -> dict[str, Any]:
    """Return a finished item of the output."""
    match block:
        case TextBlock():
            part: dict[str, Any] = {"type": "output_text", "text": block.text, "annotations": [], "logprobs": []}
            message = {"type": "message", "id": item_id or ids.new("msg_"), "role": "assistant"}
            return {**message, "status": "completed", "content": [part]}
        case ToolCall():
            return tools.item(block, item_id)
        case ReasoningBlock():
            summary = [{"type": "summary_text", "text": block.text}] if block.text else []
            item: dict[str, Any] = {"type": "reasoning", "id": item_id or ids.new("rs_"), "summary": summary}
            # Unsigned reasoning goes back too: some upstreams require their reasoning in the next request.
            return {**item, "encrypted_content": seal(block)}


def frame(document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return an answer that has just begun, with every member of the Open Responses schema.

    It repeats the settings of the request, ``document``, but not its long texts.
    """
    text: object = document.get("text")
    return {
        "id": ids.new("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": _given(document, "parallel_tool_calls", True),
        "previous_response_id": None,
        "service_tier": "default",
        "store": False,
        "tool_choice": _given(document, "tool_choice", "auto"),
        "tools": [],
        "usage": None,
        "metadata": _given(document, "metadata", {}),
        "reasoning": {"effort": None, "summary": None, **_given(document, "reasoning", {})},
        "text": {"format": {"type": "text"}, **(cast("dict[str, Any]", text) if isinstance(text, dict) else {})},
        **{name: _given(document, name, default) for name, default in _SETTINGS.items()},
    }


def _given(document: Mapping[str, Any], name: str, default: Any) -> Any:
    value = document.get(name)
    return default if value is None else value


def finished(begun: dict[str, Any], output: list[dict[str, Any]], stop: Stop, tokens: Tokens | None) -> dict[str, Any]:
    """Return an answer that is complete."""
    reason = {Stop.LENGTH: "max_output_tokens", Stop.REFUSAL: "content_filter"}.get(stop)
    return {
        **begun,
        "completed_at": int(time.time()),
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        # Clients of this format require usage, so unknown usage is reported as zeros.
        "usage": usage.write(tokens or Tokens()),
    }
