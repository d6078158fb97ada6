"""Requests of generateContent, read. The model's name and whether to stream are in the path, not here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.generate.inspection import joined, parts_of
from opencode_cloud.gateway.formats.generate.schemas import to_json_schema
from opencode_cloud.gateway.formats.generate.writing import write
from opencode_cloud.gateway.formats.media import document_of, picture_of, plain_base64
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
from opencode_cloud.gateway.formats.reading import Node, compact
from opencode_cloud.gateway.formats.sealing import UNSIGNED, unseal
from opencode_cloud.gateway.formats.writing import cannot_carry

__all__ = ["read", "write"]

_HOSTED = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
"""Parts that are work of the provider's tools, which other providers cannot read."""
_CHOICES = {"AUTO": Choice.AUTO, "VALIDATED": Choice.AUTO, "NONE": Choice.NONE, "ANY": Choice.REQUIRED}


def read(node: Node) -> ModelRequest:
    """Read a request. Raises :class:`Malformed`, also for contents that no other format can express."""
    config = node.at("generationConfig")
    messages = tuple(_Turns().read(node))
    if not messages:
        raise node.at("contents").wrong("must have a content")
    return ModelRequest(
        system=tuple(_read_system(node.at("systemInstruction"))),
        messages=messages,
        tools=tuple(
            _read_tool(function) for tool in node.each("tools") for function in tool.each("functionDeclarations")
        ),
        tool_choice=_read_choice(node.at("toolConfig").at("functionCallingConfig")),
        max_output=output_limit(node),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        stop=config.texts("stopSequences"),
        seed=config.integer("seed"),
        frequency_penalty=config.number("frequencyPenalty"),
        presence_penalty=config.number("presencePenalty"),
        shape=_read_shape(config),
        thinking=_read_thinking(config.at("thinkingConfig")),
    )


def output_limit(node: Node) -> int | None:
    """Return the limit of an answer in tokens."""
    return node.at("generationConfig").positive("maxOutputTokens")


def answer_count(node: Node) -> int:
    """Return the number of requested answers."""
    return node.at("generationConfig").positive("candidateCount") or 1


def _read_system(content: Node) -> Iterator[TextBlock]:
    for part in parts_of(content):
        if part.raw("text") is None:
            raise part.wrong("must be text")
        yield TextBlock(part.text("text"))


class _Turns:
    """Reads the turns. Calls without an id get one, and results are matched by name and order."""

    def __init__(self) -> None:
        self._unanswered: list[ToolCall] = []

    def read(self, node: Node) -> Iterator[Turn]:
        """Yield the messages. Contents of the model in a row are one turn: Google's SDK sends each chunk back."""
        model: tuple[Block, ...] = ()
        for message in self._each(node):
            if message.role == "assistant":
                model += message.blocks
                continue
            if model:
                yield Turn("assistant", joined(model))
                model = ()
            yield message
        if model:
            yield Turn("assistant", joined(model))

    def _each(self, node: Node) -> Iterator[Turn]:
        for turn, content in enumerate(node.each("contents")):
            role = content.text("role") or "user"
            if role not in ("user", "model", "function"):
                raise content.at("role").wrong("must be user or model")
            blocks: list[Block] = []
            for position, part in enumerate(parts_of(content)):
                blocks += self._part(part, turn, position)
            if blocks:
                yield Turn("assistant" if role == "model" else "user", tuple(blocks))

    def _part(self, part: Node, turn: int, position: int) -> Iterator[Block]:
        signature = part.text("thoughtSignature")
        signature = "" if signature == UNSIGNED else signature
        if part.flag("thought"):
            signed = unseal(signature) if signature else None
            yield signed or ReasoningBlock(text=part.text("text"), origin=Format.GENERATE, signature=signature)
            return
        if signature:
            yield unseal(signature) or ReasoningBlock(origin=Format.GENERATE, signature=signature)
        if part.at("functionCall").present():
            call = part.at("functionCall")
            name = call.needed("name")
            yield self._called(
                ToolCall(
                    id=call.text("id") or ids.positional(turn, position, name),
                    name=name,
                    arguments=compact(call.mapping("args") or {}),
                )
            )
        elif part.at("functionResponse").present():
            yield self._result(part.at("functionResponse"), ids.positional(turn, position, ""))
        elif part.raw("text") is not None:
            if text := part.text("text"):
                yield TextBlock(text)
        elif not any(part.at(name).present() for name in _HOSTED):
            yield read_media(part)

    def _called(self, call: ToolCall) -> ToolCall:
        self._unanswered.append(call)
        return call

    def _result(self, response: Node, fallback: str) -> ToolResult:
        given, name = response.text("id"), response.text("name")
        candidates = [call for call in self._unanswered if call.id == given] if given else []
        candidates = candidates or [call for call in self._unanswered if call.name == name]
        if candidates:
            self._unanswered.remove(candidates[0])
        content, failed = _read_response(response)
        media = [read_media(part) for part in response.each("parts")]
        call_id = candidates[0].id if candidates else given or fallback
        return ToolResult(id=call_id, name=name, content=(content, *media), error=failed)


def _read_response(response: Node) -> tuple[TextBlock, bool]:
    members = response.mapping("response") or {}
    for key, failed in (("error", True), ("output", False)):
        if set(members) == {key}:
            value: Any = members[key]
            return TextBlock(value if isinstance(value, str) else compact(value)), failed
    return TextBlock(compact(members)), False


def read_media(part: Node) -> ImageBlock | FileBlock | TextBlock:
    """Read a part that is a picture or file."""
    inline, file = part.at("inlineData"), part.at("fileData")
    if inline.present():
        media_type, data = inline.needed("mimeType"), plain_base64(inline.needed("data"))
        if media_type.startswith("image/"):
            return picture_of(media_type, data)
        return document_of(media_type, data, inline.text("displayName"))
    url, media_type = file.text("fileUri"), file.text("mimeType")
    if not url.startswith("https://") or "googleapis.com" in url:
        raise cannot_carry(part, ", ".join(part.members()))
    if media_type.startswith("image/"):
        return ImageBlock(url=url, media_type=media_type)
    return FileBlock(url=url, media_type=media_type)


def _read_tool(function: Node) -> ToolDefinition:
    schema = function.mapping("parametersJsonSchema")
    if schema is None and (parameters := function.mapping("parameters")) is not None:
        schema = to_json_schema(parameters)
    return ToolDefinition(name=function.needed("name"), description=function.text("description"), schema=schema)


def _read_choice(config: Node) -> ToolChoice | None:
    mode = config.text("mode").upper()
    if mode in ("", "MODE_UNSPECIFIED"):
        return None
    if mode not in _CHOICES:
        raise config.at("mode").wrong("must be AUTO, ANY, NONE or VALIDATED")
    names = config.texts("allowedFunctionNames")
    if mode == "ANY" and names:
        return ToolChoice(Choice.NAMED, names)
    return ToolChoice(_CHOICES[mode])


def _read_shape(config: Node) -> Shape | None:
    kind = config.text("responseMimeType")
    if kind in ("", "text/plain"):
        return None
    if kind != "application/json":
        raise cannot_carry(config.at("responseMimeType"), kind)
    schema = config.mapping("responseJsonSchema") or config.mapping("_responseJsonSchema")
    if schema is None and (given := config.mapping("responseSchema")) is not None:
        schema = to_json_schema(given)
    return Shape(schema=schema)


def _read_thinking(config: Node) -> Thinking | None:
    if not config.present():
        return None
    level = config.text("thinkingLevel").lower()
    return Thinking(
        effort="" if level == "thinking_level_unspecified" else level,
        budget=config.integer("thinkingBudget"),
        shown=bool(config.flag("includeThoughts")),
    )
