"""Answers that are not streamed, in Chat Completions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from typing import Any, cast

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.chat import usage
from opencode_cloud.gateway.formats.chat.reasoning import detail_of, read_call_signature, read_reasoning
from opencode_cloud.gateway.formats.custom import custom_input, custom_names
from opencode_cloud.gateway.formats.models import ModelReply, ParsedRequest, ReasoningBlock, Stop, TextBlock, ToolCall
from opencode_cloud.gateway.formats.reading import Node, compact

FINISH = {
    Stop.END: "stop",
    Stop.LENGTH: "length",
    Stop.TOOLS: "tool_calls",
    Stop.SEQUENCE: "stop",
    Stop.REFUSAL: "content_filter",
}
_STOPS = {
    "length": Stop.LENGTH,
    "max_tokens": Stop.LENGTH,
    "model_length": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "content_filter": Stop.REFUSAL,
    "sensitive": Stop.REFUSAL,
    "safety": Stop.REFUSAL,
    "refusal": Stop.REFUSAL,
}
"""Reasons of OpenAI, and other names of them: Mistral's, Z.ai's, and those of routers."""


def stop_of(finish: str, *, called: bool, refused: bool) -> Stop:
    """Return the reason for which an answer ended. Many servers report ``stop`` when tools were called."""
    stop = _STOPS.get(finish.lower())
    if stop is None:
        stop = Stop.TOOLS if called else Stop.REFUSAL if refused else Stop.END
    return stop


def is_answer(node: Node) -> bool:
    """Tell whether a document has an answer: one choice or more."""
    choices: object = node.raw("choices")
    return isinstance(choices, list) and bool(cast("list[object]", choices))


def read(node: Node) -> ModelReply:
    """Read an answer. Raises :class:`Malformed`."""
    choice = next((choice for choice in node.each("choices") if not choice.integer("index")), None)
    if choice is None:
        raise node.at("choices").wrong("must have an answer")
    message = choice.at("message")
    blocks = tuple(_read_blocks(message))
    called = any(isinstance(block, ToolCall) for block in blocks)
    return ModelReply(
        blocks=blocks,
        stop=stop_of(choice.text("finish_reason"), called=called, refused=bool(message.text("refusal"))),
        tokens=usage.read(node.raw("usage")),
    )


def _read_blocks(message: Node) -> Iterator[TextBlock | ToolCall | ReasoningBlock]:
    yield from read_reasoning(message)
    yield from read_content(message)
    if refusal := message.text("refusal"):
        yield TextBlock(refusal)
    if transcript := message.at("audio").text("transcript"):
        yield TextBlock(transcript)
    for call in calls_in(message):
        if (signature := read_call_signature(call)) is not None:
            yield signature
        function = call.at("function")
        yield ToolCall(
            id=call.text("id") or ids.new("call_"),
            name=function.needed("name"),
            arguments=read_arguments(function),
        )


def read_content(message: Node) -> Iterator[TextBlock | ReasoningBlock]:
    """Yield the content of a message or of a part of one in a stream. Mistral sends a list of texts and thoughts."""
    if not isinstance(message.raw("content"), list):
        if text := message.text("content"):
            yield TextBlock(text)
        return
    for part in message.each("content"):
        if part.text("type") == "thinking":
            inner = part.raw("thinking")
            parts = part.each("thinking") if isinstance(inner, list) else ()
            thought = inner if isinstance(inner, str) else "".join(each.text("text") for each in parts)
            yield ReasoningBlock(text=thought, origin=Format.CHAT)
        elif text := part.text("text") or part.text("refusal"):
            yield TextBlock(text)


def calls_in(message: Node) -> Iterator[Node]:
    """Yield the calls of a message, or of a part of one in a stream. ``function_call`` is deprecated."""
    yield from message.each("tool_calls")
    if (deprecated := message.mapping("function_call")) is not None:
        yield Node({"index": 0, "function": deprecated}, f"{message.path}.function_call")


def read_arguments(function: Node) -> str:
    """Return the arguments of a call as text. Some servers send an object."""
    arguments: object = function.raw("arguments")
    return compact(cast("dict[str, Any]", arguments)) if isinstance(arguments, dict) else function.text("arguments")


def write(reply: ModelReply, parsed: ParsedRequest) -> dict[str, Any]:
    """Write an answer."""
    text = "".join(block.text for block in reply.blocks if isinstance(block, TextBlock))
    thoughts = "\n\n".join(block.text for block in reply.blocks if isinstance(block, ReasoningBlock) and block.text)
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if thoughts:
        message["reasoning_content"] = thoughts
    signed = [block for block in reply.blocks if isinstance(block, ReasoningBlock) and block.signature]
    if details := [detail_of(block) for block in signed if block.origin != Format.GENERATE]:
        message["reasoning_details"] = details
    if calls := list(_write_calls(reply, custom_names(parsed.document))):
        message["tool_calls"] = calls
    answer: dict[str, Any] = {
        "id": ids.new("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": parsed.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH[reply.stop]}],
    }
    if reply.tokens is not None:
        answer["usage"] = usage.write(reply.tokens)
    return answer


def write_call(call: ToolCall, custom: Set[str]) -> dict[str, Any]:
    """Return a call as a client gets it; ``custom`` are the names of its custom tools."""
    if call.name in custom:
        text = custom_input(call.arguments)
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": text}}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _write_calls(reply: ModelReply, custom: Set[str]) -> Iterator[dict[str, Any]]:
    signature = ""
    for block in reply.blocks:
        if isinstance(block, ReasoningBlock) and block.origin == Format.GENERATE:
            signature = block.signature
        elif isinstance(block, ToolCall):
            call = write_call(block, custom)
            if signature:
                call["extra_content"] = {"google": {"thought_signature": signature}}
                signature = ""
            yield call
