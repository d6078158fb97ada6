"""Requests of Chat Completions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.chat.answers import read_content
from opencode_cloud.gateway.formats.chat.reasoning import read_call_signature, read_reasoning, write_reasoning
from opencode_cloud.gateway.formats.custom import custom_arguments, custom_tool
from opencode_cloud.gateway.formats.efforts import effort_within, refuses_tools_in_chat
from opencode_cloud.gateway.formats.marks import marked
from opencode_cloud.gateway.formats.media import audio_name, document_at, image_at, image_url, sound_of, to_data_url
from opencode_cloud.gateway.formats.models import (
    Block,
    Choice,
    FileBlock,
    ImageBlock,
    ModelRequest,
    ParsedRequest,
    Shape,
    TextBlock,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolResult,
    Turn,
)
from opencode_cloud.gateway.formats.reading import Node, read_cache, without_empty
from opencode_cloud.gateway.formats.writing import cannot_carry, effort_of, result_text, split_results, write_cache

_NEW_LIMIT = re.compile(r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|\d\d))")  # models that refuse ``max_tokens``


def read(node: Node) -> ModelRequest:
    """Read a request. Raises :class:`Malformed`, also for contents that no other format can express."""
    system, messages = _read_messages(node)
    return ModelRequest(
        system=system,
        messages=messages,
        tools=tuple(_read_tool(tool) for tool in node.each("tools")),
        tool_choice=_read_choice(node),
        parallel=node.flag("parallel_tool_calls"),
        max_output=output_limit(node),
        temperature=node.number("temperature"),
        top_p=node.number("top_p"),
        top_k=node.integer("top_k"),
        stop=node.texts("stop"),
        seed=node.integer("seed"),
        frequency_penalty=node.number("frequency_penalty"),
        presence_penalty=node.number("presence_penalty"),
        shape=_read_shape(node.at("response_format")),
        thinking=_read_thinking(node),
        verbosity=node.text("verbosity"),
        user=node.text("safety_identifier") or node.text("user"),
        cache_key=node.text("prompt_cache_key"),
        stream=bool(node.flag("stream")),
    )


def output_limit(node: Node) -> int | None:
    """Return the limit of an answer in tokens, by either of the two names."""
    limits = [limit for key in ("max_tokens", "max_completion_tokens") if (limit := node.positive(key)) is not None]
    return max(limits, default=None)


def answer_count(node: Node) -> int:
    """Return the number of requested answers."""
    return node.positive("n") or 1


def wants_usage(node: Node) -> bool:
    """Tell whether a client expects usage at the end of a stream; by default this format sends none."""
    return node.at("stream_options").flag("include_usage") is True


def overrides(parsed: ParsedRequest, upstream_model: str) -> dict[str, Any]:
    """Return the members to replace on the way to an upstream of this format."""
    members: dict[str, Any] = {"model": upstream_model}
    if parsed.stream and not parsed.usage_wanted:
        # The gateway bills by usage, so it always requests it; the relay drops what the client did not request.
        options: dict[str, Any] = parsed.document.get("stream_options") or {}
        members["stream_options"] = {**options, "include_usage": True}
    return members


def is_refused(parsed: ParsedRequest, upstream_model: str) -> bool:
    """Tell whether OpenAI refuses a request of this format for its tools, and takes it in Responses."""
    effort: object = parsed.document.get("reasoning_effort")
    given = effort if isinstance(effort, str) else ""
    return bool(parsed.document.get("tools")) and refuses_tools_in_chat(upstream_model, given)


def _read_messages(node: Node) -> tuple[tuple[TextBlock, ...], tuple[Turn, ...]]:
    system: list[TextBlock] = []
    messages: list[Turn] = []
    for message in node.each("messages"):
        role = message.needed("role")
        if role in ("system", "developer"):
            texts = tuple(_read_texts(message))
            if messages:
                messages.append(Turn("system", texts))
            else:
                system += texts
        elif role == "user":
            messages.append(Turn("user", _read_parts(message)))
        elif role == "assistant":
            messages.append(Turn("assistant", marked(tuple(_read_assistant(message)), read_cache(message))))
        elif role == "tool":
            result = ToolResult(id=message.needed("tool_call_id"), content=_read_parts(message))
            if messages and messages[-1].role == "user" and _only_results(messages[-1].blocks):
                messages[-1] = Turn("user", (*messages[-1].blocks, result))
            else:
                messages.append(Turn("user", (result,)))
        else:
            raise message.at("role").wrong("must be system, developer, user, assistant or tool")
    if not messages and system:  # OpenAI takes instructions alone, others want a turn of the user
        return (), (Turn("user", tuple(system)),)
    if not messages:
        raise node.at("messages").wrong("must have a message of the user")
    return tuple(system), tuple(messages)


def _only_results(blocks: Iterable[Block]) -> bool:
    return all(isinstance(block, ToolResult) for block in blocks)


def _read_texts(message: Node) -> Iterator[TextBlock]:
    for part in _read_parts(message):
        if not isinstance(part, TextBlock):
            raise message.at("content").wrong("must be text")
        yield part


def _read_parts(message: Node) -> tuple[TextBlock | ImageBlock | FileBlock, ...]:
    """Return the parts of a message. A mark of the message is one of its last part."""
    content = message.at("content")
    if isinstance(content.value, str):
        return (TextBlock(content.value, cache=read_cache(message)),)
    return marked(tuple(map(_read_part, message.each("content"))), read_cache(message))


def _read_part(part: Node) -> TextBlock | ImageBlock | FileBlock:
    kind = part.needed("type")
    if kind in ("text", "refusal"):
        return TextBlock(part.text(kind), cache=read_cache(part))
    if kind == "image_url":
        image = part.at("image_url")
        plain = isinstance(image.value, str)  # of earlier clients
        url, detail = (image.string(), "") if plain else (image.needed("url"), image.text("detail"))
        return msgspec.structs.replace(image_at(url, image.path, detail), cache=read_cache(part))
    if kind == "input_audio":
        audio = part.at("input_audio")
        return sound_of(audio.needed("format"), audio.needed("data"), read_cache(part))
    if kind == "file" and part.at("file").text("file_data"):
        file = part.at("file")
        document = document_at(file.text("file_data"), file.text("filename"), file.path)
        return msgspec.structs.replace(document, cache=read_cache(part))
    raise cannot_carry(part, kind)


def _read_assistant(message: Node) -> Iterator[Block]:
    if message.raw("function_call") or message.raw("audio"):
        raise cannot_carry(message, "an answer of this kind")
    reasoning = list(read_reasoning(message))
    yield from reasoning
    yield from _read_said(message)
    for call in message.each("tool_calls"):
        if (signature := read_call_signature(call)) is not None and signature not in reasoning:
            yield signature
        if (custom := call.at("custom")).present():
            yield ToolCall(
                id=call.needed("id"), name=custom.needed("name"), arguments=custom_arguments(custom.text("input"))
            )
            continue
        function = call.at("function")
        yield ToolCall(id=call.needed("id"), name=function.needed("name"), arguments=function.text("arguments"))


def _read_said(message: Node) -> Iterator[Block]:
    """Yield what the assistant has said. Clients of Mistral send its thoughts back as parts of the content."""
    if isinstance(text := message.raw("content"), str):
        if text:
            yield TextBlock(text)
        return
    for part in message.each("content"):
        if part.text("type") == "thinking":
            yield from read_content(Node({"content": [part.value]}, message.path))
            continue
        block = _read_part(part)
        if not isinstance(block, TextBlock):
            raise message.at("content").wrong("must be text")
        if block.text:
            yield block


def _read_tool(tool: Node) -> ToolDefinition:
    if tool.needed("type") == "custom":
        custom = tool.at("custom")
        return custom_tool(custom, custom.needed("name"))
    function = tool.at("function")
    return ToolDefinition(
        name=function.needed("name"),
        description=function.text("description"),
        schema=function.mapping("parameters"),
        strict=function.flag("strict"),
        cache=read_cache(tool),
    )


def _read_choice(node: Node) -> ToolChoice | None:
    choice = node.at("tool_choice")
    if not choice.present():
        return None
    if isinstance(choice.value, str):
        if choice.value not in ("auto", "none", "required"):
            raise choice.wrong("must be auto, none, required or a function")
        return ToolChoice(Choice(choice.value))
    if choice.text("type") != "allowed_tools":
        return ToolChoice(Choice.NAMED, (_read_name(choice),))
    allowed = choice.at("allowed_tools")
    rule = Choice.NAMED if allowed.text("mode") == "required" else Choice.AUTO
    return ToolChoice(rule, tuple(_read_name(tool) for tool in allowed.each("tools")))


def _read_name(tool: Node) -> str:
    kind = tool.needed("type")
    if kind not in ("function", "custom"):
        raise cannot_carry(tool, kind)
    return tool.at(kind).needed("name")


def _read_shape(node: Node) -> Shape | None:
    kind = node.text("type")
    if kind in ("", "text"):
        return None
    if kind == "json_object":
        return Shape()
    if kind != "json_schema":
        raise cannot_carry(node, kind)
    schema = node.at("json_schema")
    return Shape(schema=schema.mapping("schema") or {}, name=schema.text("name"), strict=schema.flag("strict"))


def _read_thinking(node: Node) -> Thinking | None:
    """Read the thinking options: OpenAI's member, OpenRouter's, and that of several compatible servers."""
    effort = node.text("reasoning_effort")
    if effort:
        return Thinking(effort=effort)
    if isinstance(node.raw("reasoning"), dict):
        reasoning = node.at("reasoning")
        if reasoning.flag("enabled") is False:
            return Thinking(effort="none")
        return Thinking(effort=reasoning.text("effort"), budget=reasoning.positive("max_tokens"), shown=True)
    if isinstance(node.raw("thinking"), dict):
        thinking = node.at("thinking")
        disabled = thinking.text("type") == "disabled"
        return Thinking(effort="none" if disabled else "", budget=thinking.positive("budget_tokens"), shown=True)
    return None


def write(request: ModelRequest, model: str) -> dict[str, Any]:
    """Write a request."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": _write_texts(request.system)})
    for message in request.messages:
        messages.extend(_write_message(message))
    limit = "max_completion_tokens" if _NEW_LIMIT.search(model) else "max_tokens"
    members = {
        "model": model,
        "messages": messages,
        "tools": [_write_tool(tool) for tool in request.tools] or None,
        "tool_choice": _write_choice(request.tool_choice),
        "parallel_tool_calls": request.parallel if request.tools else None,
        limit: request.max_output,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "response_format": _write_shape(request.shape),
        "reasoning_effort": _write_effort(request, model),
        "verbosity": request.verbosity or None,
        "user": request.user or None,
        "prompt_cache_key": request.cache_key or None,
        "stream": request.stream or None,
        "stream_options": {"include_usage": True} if request.stream else None,
    }
    return without_empty(members)


def _write_message(message: Turn) -> Iterator[dict[str, Any]]:
    if message.role == "assistant":
        answer = _write_assistant(message.blocks)
        if answer["content"] or len(answer) > len(("role", "content")):  # strict servers refuse an empty one
            yield answer
        return
    if message.role == "system":
        yield {"role": "system", "content": _write_texts(b for b in message.blocks if isinstance(b, TextBlock))}
        return
    results, rest = split_results(message.blocks)
    media: list[Block] = []
    for result in results:
        text, pictures = result_text(result)
        yield {"role": "tool", "tool_call_id": ids.acceptable(result.id), "content": _write_result(result, text)}
        media += pictures
    # A tool message accepts only text, so other results of a tool follow in a message of the user.
    if content := [*media, *rest]:
        yield {"role": "user", "content": _write_content(content)}


def _write_texts(texts: Iterable[TextBlock]) -> str | list[dict[str, Any]]:
    """Return texts of the system: one text, or several parts if a cache mark is among them."""
    texts = tuple(texts)
    if any(text.cache for text in texts):
        return [_write_part(text) for text in texts]
    return "\n\n".join(text.text for text in texts)


def _write_result(result: ToolResult, text: str) -> str | list[dict[str, Any]]:
    cache = result.cache or next((block.cache for block in result.content if block.cache), "")
    return [write_cache({"type": "text", "text": text}, cache)] if cache else text


def _write_content(blocks: list[Block]) -> str | list[dict[str, Any]]:
    if len(blocks) == 1 and isinstance(blocks[0], TextBlock) and not blocks[0].cache:
        return blocks[0].text
    return [_write_part(block) for block in blocks]


def _write_part(block: Block) -> dict[str, Any]:
    match block:
        case TextBlock():
            return write_cache({"type": "text", "text": block.text}, block.cache)
        case ImageBlock():
            detail = {"detail": block.detail} if block.detail else {}
            return write_cache({"type": "image_url", "image_url": {"url": image_url(block), **detail}}, block.cache)
        case FileBlock(data=data) if data:
            if sound := audio_name(block.media_type):
                return {"type": "input_audio", "input_audio": {"data": data, "format": sound}}
            name = block.name or "file"
            return {"type": "file", "file": {"filename": name, "file_data": to_data_url(block.media_type, data)}}
        case _:
            raise cannot_carry(Node(None, "a file by URL"))


def _write_assistant(blocks: tuple[Block, ...]) -> dict[str, Any]:
    text = "\n\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    calls = [
        {
            "id": ids.acceptable(block.id),
            "type": "function",
            "function": {"name": block.name, "arguments": block.arguments or "{}"},
        }
        for block in blocks
        if isinstance(block, ToolCall)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    message.update(write_reasoning(blocks))
    if calls:
        message["tool_calls"] = calls
    return message


def _write_tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return write_cache({"type": "function", "function": function}, tool.cache)


def _write_choice(choice: ToolChoice | None) -> str | dict[str, Any] | None:
    if choice is None:
        return None
    if choice.choice is not Choice.NAMED:
        return choice.choice.value
    functions = [{"type": "function", "function": {"name": name}} for name in choice.names]
    if len(functions) == 1:
        return functions[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": functions}}


def _write_effort(request: ModelRequest, model: str) -> str | None:
    effort = effort_within(effort_of(request.thinking), model) if request.thinking else ""
    return "none" if request.tools and refuses_tools_in_chat(model, effort) else effort or None


def _write_shape(shape: Shape | None) -> dict[str, Any] | None:
    if shape is None:
        return None
    if shape.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": shape.name or "answer", "schema": shape.schema}
    if shape.strict is not None:
        schema["strict"] = shape.strict
    return {"type": "json_schema", "json_schema": schema}
