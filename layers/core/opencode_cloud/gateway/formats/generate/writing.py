"""Requests of generateContent, written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.efforts import effort_within
from opencode_cloud.gateway.formats.models import (
    Block,
    Choice,
    FileBlock,
    ImageBlock,
    ModelRequest,
    ReasoningBlock,
    Shape,
    TextBlock,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolResult,
    Turn,
)
from opencode_cloud.gateway.formats.reading import Node, arguments_object, without_empty
from opencode_cloud.gateway.formats.sealing import UNSIGNED
from opencode_cloud.gateway.formats.writing import budget_of, cannot_carry, effort_of, in_place, merged

EARLIER = re.compile(r"gemini-[12](?!\d)")  # models without ids and signatures of calls, and without levels of thought
_SEEDS = 2**31
"""The number of seeds that Google takes: those of other vendors have more bits."""
_LEVELS = {"none": "minimal", "xhigh": "high", "max": "high"}
_BUDGETS = (
    (re.compile(r"gemini-2\.5-pro"), 128, 32_768),
    (re.compile(r"gemini-2\.5-flash-lite"), 512, 24_576),
    (re.compile(r"gemini-(?!1|2\.0)"), 0, 24_576),
)
"""Models by name, and the smallest and the largest budget for thinking that they take, in tokens."""
_ALWAYS_THINKS = re.compile(r"gemini-2\.5-pro")


def write(request: ModelRequest, model: str) -> dict[str, Any]:
    """Write a request."""
    later = EARLIER.search(model) is None
    system, messages = in_place(request)
    turns = _Turns(later)
    contents = [turns.write(message) for message in merged(messages)]
    config = {
        "maxOutputTokens": request.max_output,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": list(request.stop) or None,
        "seed": None if request.seed is None else request.seed % _SEEDS,
        "frequencyPenalty": request.frequency_penalty or None,  # models refuse it, also the default
        "presencePenalty": request.presence_penalty or None,
        "thinkingConfig": _write_thinking(request.thinking, model, later=later),
        **_write_shape(request.shape),
    }
    members = {
        "contents": [content for content in contents if content["parts"]],
        "systemInstruction": {"parts": [{"text": text.text} for text in system]} if system else None,
        "tools": [{"functionDeclarations": [_write_tool(tool) for tool in request.tools]}] if request.tools else None,
        "toolConfig": _write_choice(request.tool_choice),
        "generationConfig": without_empty(config) or None,
    }
    return without_empty(members)


class _Turns:
    """Writes the turns. Results name the called function, which other formats identify by the call's id."""

    def __init__(self, later: bool) -> None:
        self._later = later
        self._names: dict[str, str] = {}

    def write(self, message: Turn) -> dict[str, Any]:
        """Return one turn."""
        if message.role == "assistant":
            return {"role": "model", "parts": list(self._model(message.blocks))}
        results = [block for block in message.blocks if isinstance(block, ToolResult)]
        parts = [part for result in results for part in self._result(result)]
        parts += [_write_part(block) for block in message.blocks if _is_said(block)]
        return {"role": "user", "parts": parts}

    def _model(self, blocks: tuple[Block, ...]) -> Iterator[dict[str, Any]]:
        signature, first = "", True
        for block in blocks:
            if isinstance(block, ReasoningBlock):
                signature = block.signature if block.origin == Format.GENERATE else signature
            elif isinstance(block, ToolCall):
                part: dict[str, Any] = {"functionCall": self._call(block)}
                # Gemini signs only the first of parallel calls.
                if signature or (first and self._later):
                    part["thoughtSignature"] = signature or UNSIGNED
                yield part
                signature, first = "", False
            elif not isinstance(block, TextBlock) or block.text:
                written = _write_part(block)
                yield {**written, "thoughtSignature": signature} if signature else written
                signature = ""

    def _call(self, call: ToolCall) -> dict[str, Any]:
        call_id = ids.acceptable(call.id)
        self._names[call_id] = call.name
        members: dict[str, Any] = {"name": call.name, "args": arguments_object(call.arguments)}
        return {"id": call_id, **members} if self._later else members

    def _result(self, result: ToolResult) -> Iterator[dict[str, Any]]:
        call_id = ids.acceptable(result.id)
        text = "\n".join(block.text for block in result.content if isinstance(block, TextBlock))
        media = [_write_part(block) for block in result.content if not isinstance(block, TextBlock)]
        response: dict[str, Any] = {
            "name": self._names.get(call_id) or result.name or "tool",
            "response": {"error" if result.error else "output": text},
        }
        if self._later:
            response = {"id": call_id, **response, **({"parts": media} if media else {})}
        yield {"functionResponse": response}
        if not self._later:
            yield from media


def _is_said(block: Block) -> bool:
    """Tell whether a block is a part of a user's turn. Google refuses an empty text."""
    if isinstance(block, TextBlock):
        return bool(block.text)
    return not isinstance(block, (ToolResult, ToolCall, ReasoningBlock))


def _write_part(block: Block) -> dict[str, Any]:
    match block:
        case TextBlock():
            return {"text": block.text}
        case ImageBlock(url=url) | FileBlock(url=url) if url:
            kind = {"mimeType": block.media_type} if block.media_type else {}
            return {"fileData": {**kind, "fileUri": url}}
        case ImageBlock() | FileBlock():
            return {"inlineData": {"mimeType": block.media_type, "data": block.data}}
        case _:
            raise cannot_carry(Node(None, "this kind of content"))


def _write_tool(tool: ToolDefinition) -> dict[str, Any]:
    members = {
        "name": tool.name,
        "description": tool.description or None,
        "parametersJsonSchema": tool.schema,
    }
    return without_empty(members)


def _write_choice(choice: ToolChoice | None) -> dict[str, Any] | None:
    if choice is None:
        return None
    modes = {Choice.AUTO: "AUTO", Choice.NONE: "NONE", Choice.REQUIRED: "ANY", Choice.NAMED: "ANY"}
    config: dict[str, Any] = {"mode": modes[choice.choice]}
    if choice.choice is Choice.NAMED:
        config["allowedFunctionNames"] = list(choice.names)
    return {"functionCallingConfig": config}


def _write_shape(shape: Shape | None) -> dict[str, Any]:
    if shape is None:
        return {}
    return {"responseMimeType": "application/json", "responseJsonSchema": shape.schema}


def _write_thinking(thinking: Thinking | None, model: str, *, later: bool) -> dict[str, Any] | None:
    if thinking is None:
        return None
    members: dict[str, Any] = {"includeThoughts": True} if thinking.shown else {}
    if later:
        if effort := effort_within(effort_of(thinking), model):
            members["thinkingLevel"] = _LEVELS.get(effort, effort).upper()
        return members or None
    bounds = next(((least, most) for name, least, most in _BUDGETS if name.search(model)), None)
    if bounds is None:
        return None  # earlier models do not think
    if (budget := budget_of(thinking)) is not None:
        members["thinkingBudget"] = _within(budget, *bounds, always=_ALWAYS_THINKS.search(model) is not None)
    return members or None


def _within(budget: int, least: int, most: int, *, always: bool) -> int:
    """Return a budget that a model takes. -1 leaves it to the model; 0 is no thinking, which some models refuse."""
    if budget < 0 or (budget == 0 and not always):
        return budget
    return max(least, min(budget, most))
