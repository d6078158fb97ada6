"""Requests of Messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.marks import marked
from opencode_cloud.gateway.formats.media import document_of, picture_of
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
from opencode_cloud.gateway.formats.reading import Node, arguments_object, compact, read_cache, without_empty
from opencode_cloud.gateway.formats.schemas import closed_schema
from opencode_cloud.gateway.formats.sealing import unseal
from opencode_cloud.gateway.formats.writing import (
    budget_of,
    cannot_carry,
    effort_of,
    in_place,
    merged,
    split_results,
    write_cache,
)

DEFAULT_OUTPUT = 32_000
"""Limit in tokens. Messages requires a limit. This one applies if neither client nor catalogue names one."""

LEAST_BUDGET = 1024
"""Anthropic's smallest budget for thinking, in tokens."""

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?")
_PREVIEW = (5, 0)
"""The version of a model whose name has none."""
_UNKNOWN = (0, 0)
_FIRST_THINKING = (3, 7)
_FUNCTIONS = ("", "custom")
"""Types of tools that the client defines. It runs others too, but only Anthropic's models know them."""
_CHOICES = {"auto": Choice.AUTO, "none": Choice.NONE, "any": Choice.REQUIRED}
_CHOICE_NAMES = {choice: name for name, choice in _CHOICES.items()}
_EFFORTS = {"minimal": "low"}
_EFFORTS_OF_4_6 = _EFFORTS | {"xhigh": "max"}


def read(node: Node) -> ModelRequest:
    """Read a request. Raises :class:`Malformed`, also for contents that no other format can express."""
    messages = tuple(_read_message(message) for message in node.each("messages"))
    if not messages:
        raise node.at("messages").wrong("must have a message")
    *earlier, last = messages
    messages = (*earlier, Turn(last.role, marked(last.blocks, read_cache(node))))
    choice = node.at("tool_choice")
    serial = choice.flag("disable_parallel_tool_use")
    return ModelRequest(
        system=tuple(_read_texts(node, "system")),
        messages=messages,
        tools=tuple(_read_tool(tool) for tool in node.each("tools") if tool.text("type") in _FUNCTIONS),
        dropped=tuple(f"tools.{kind}" for tool in node.each("tools") if (kind := tool.text("type")) not in _FUNCTIONS),
        tool_choice=_read_choice(choice),
        parallel=None if serial is None else not serial,
        max_output=output_limit(node),
        temperature=node.number("temperature"),
        top_p=node.number("top_p"),
        top_k=node.integer("top_k"),
        stop=node.texts("stop_sequences"),
        shape=_read_shape(node.at("output_config").at("format")) or _read_shape(node.at("output_format")),
        thinking=_read_thinking(node),
        user=node.at("metadata").text("user_id"),
        stream=bool(node.flag("stream")),
    )


def output_limit(node: Node) -> int | None:
    """Return the limit of an answer in tokens."""
    return node.positive("max_tokens")


def _read_message(message: Node) -> Turn:
    role = message.needed("role")
    if role == "system":
        return Turn("system", tuple(_read_reminder(message)))
    if role not in ("user", "assistant"):
        raise message.at("role").wrong("must be user, assistant or system")
    if isinstance(text := message.raw("content"), str):
        return Turn(role, (TextBlock(text),))
    return Turn(role, tuple(_read_block(block) for block in message.each("content") if not _is_hosted(block)))


def _read_reminder(message: Node) -> Iterator[TextBlock]:
    """Yield the texts of a message of the system. It may also have changes of tools, which only Anthropic knows."""
    if isinstance(text := message.raw("content"), str):
        yield TextBlock(text)
        return
    for block in message.each("content"):
        if block.text("type") == "text":
            yield TextBlock(block.text("text"), cache=read_cache(block))


def _is_hosted(block: Node) -> bool:
    """Tell whether a block is a call of a provider's tool or its result: other providers cannot read it."""
    kind = block.text("type")
    return kind in ("server_tool_use", "mcp_tool_use") or (kind.endswith("_tool_result") and kind != "tool_result")


def _read_texts(node: Node, key: str) -> Iterator[TextBlock]:
    if isinstance(text := node.raw(key), str):
        yield TextBlock(text)
        return
    for block in node.each(key):
        if block.needed("type") != "text":
            raise block.wrong("must be text")
        yield TextBlock(block.text("text"), cache=read_cache(block))


def _read_block(block: Node) -> Block:
    match kind := block.needed("type"):
        case "text" | "image" | "document" | "search_result":
            return _read_content(block)
        case "compaction":
            return TextBlock(block.text("content"), cache=read_cache(block))
        case "tool_use":
            arguments = compact(block.mapping("input") or {})
            return ToolCall(
                id=block.needed("id"), name=block.needed("name"), arguments=arguments, cache=read_cache(block)
            )
        case "tool_result":
            return ToolResult(
                id=block.needed("tool_use_id"),
                content=tuple(_read_result(block)),
                error=bool(block.flag("is_error")),
                cache=read_cache(block),
            )
        case "thinking":
            text, signature = block.text("thinking"), block.text("signature")
            return unseal(signature) or ReasoningBlock(text=text, origin=Format.MESSAGES, signature=signature)
        case "redacted_thinking":
            data = block.needed("data")
            return unseal(data) or ReasoningBlock(origin=Format.MESSAGES, signature=data, redacted=True)
        case _:
            raise cannot_carry(block, kind)


def _read_result(block: Node) -> Iterator[TextBlock | ImageBlock | FileBlock]:
    if isinstance(text := block.raw("content"), str):
        yield TextBlock(text)
        return
    for part in block.each("content"):
        yield _read_content(part)


def _read_content(block: Node) -> TextBlock | ImageBlock | FileBlock:
    kind = block.needed("type")
    if kind == "text":
        return TextBlock(block.text("text"), cache=read_cache(block))
    if kind == "tool_reference":
        return TextBlock(block.text("tool_name"))
    if kind == "search_result":
        passages = [passage.text("text") for passage in block.each("content")]
        return TextBlock("\n".join([block.text("title"), block.text("source"), *passages]), cache=read_cache(block))
    source = block.at("source")
    by = source.needed("type")
    if kind == "image" and by == "base64":
        return picture_of(source.needed("media_type"), source.needed("data"), cache=read_cache(block))
    if kind == "image" and by == "url":
        return ImageBlock(url=source.needed("url"), cache=read_cache(block))
    if kind == "document" and by == "text":
        title = block.text("title")
        return TextBlock(f"{title}\n{source.text('data')}" if title else source.text("data"), cache=read_cache(block))
    if kind == "document" and by == "base64":
        media_type, data = source.needed("media_type"), source.needed("data")
        return document_of(media_type, data, block.text("title"), cache=read_cache(block))
    if kind == "document" and by == "url":
        return FileBlock(url=source.needed("url"), name=block.text("title"), cache=read_cache(block))
    if kind == "document" and by == "content":
        parts = [source.text("content")] if isinstance(source.raw("content"), str) else _texts_of(source)
        return TextBlock("\n".join(filter(None, [block.text("title"), *parts])), cache=read_cache(block))
    raise cannot_carry(block, f"{kind} by {by}")


def _texts_of(source: Node) -> list[str]:
    for part in source.each("content"):
        if part.text("type") != "text":
            raise cannot_carry(part, part.text("type"))
    return [part.text("text") for part in source.each("content")]


def _read_tool(tool: Node) -> ToolDefinition:
    return ToolDefinition(
        name=tool.needed("name"),
        description=tool.text("description"),
        schema=tool.mapping("input_schema"),
        strict=tool.flag("strict"),
        cache=read_cache(tool),
    )


def _read_choice(choice: Node) -> ToolChoice | None:
    if not choice.present():
        return None
    kind = choice.needed("type")
    if kind == "tool":
        return ToolChoice(Choice.NAMED, (choice.needed("name"),))
    if kind not in _CHOICES:
        raise choice.at("type").wrong("must be auto, any, tool or none")
    return ToolChoice(_CHOICES[kind])


def _read_shape(format_: Node) -> Shape | None:
    if not format_.present():
        return None
    if format_.needed("type") != "json_schema":
        raise cannot_carry(format_, format_.text("type"))
    return Shape(schema=format_.mapping("schema") or {})


def _read_thinking(node: Node) -> Thinking | None:
    thinking, effort = node.at("thinking"), node.at("output_config").text("effort")
    kind = thinking.text("type")
    if kind == "disabled":
        return Thinking(effort="none")
    if not kind:
        return Thinking(effort=effort) if effort else None
    return Thinking(
        effort=effort,
        budget=thinking.positive("budget_tokens"),
        shown=thinking.text("display") != "omitted",
    )


def write(request: ModelRequest, model: str) -> dict[str, Any]:
    """Write a request."""
    system, messages = in_place(request)
    turns = [_write_message(message) for message in merged(messages)]
    limit = request.max_output or DEFAULT_OUTPUT
    thinking = _write_thinking(request, model, limit)
    thinks = thinking.get("thinking", {}).get("type") in ("enabled", "adaptive")
    config = {**thinking.pop("output_config", {}), **_write_shape(request.shape)}
    members = {
        "model": model,
        "max_tokens": limit,
        "system": [_write_text(text) for text in system if text.text.strip()] or None,
        "messages": [turn for turn in turns if turn["content"]],
        "tools": [_write_tool(tool) for tool in _offered(request)] or None,
        "tool_choice": _write_choice(request),
        # While it thinks, the model accepts neither of these.
        "temperature": None if thinks or request.temperature is None else min(request.temperature, 1),
        "top_k": None if thinks else request.top_k,
        "top_p": _write_top_p(request, model, thinks=thinks),
        "stop_sequences": list(request.stop) or None,
        "output_config": config or None,
        "metadata": {"user_id": request.user} if request.user else None,
        "stream": request.stream or None,
        **thinking,
    }
    return without_empty(members)


def _write_message(message: Turn) -> dict[str, Any]:
    results, rest = split_results(message.blocks)
    blocks = [_write_block(block) for block in (*results, *rest)]
    return {"role": message.role, "content": [block for block in blocks if block]}


def _write_block(block: Block) -> dict[str, Any]:
    match block:
        case TextBlock():
            return _write_text(block) if block.text.strip() else {}  # Anthropic refuses blank ones
        case ImageBlock() | FileBlock():
            return _write_media(block)
        case ToolCall():
            arguments = arguments_object(block.arguments)
            call = {"type": "tool_use", "id": ids.acceptable(block.id), "name": block.name, "input": arguments}
            return write_cache(call, block.cache)
        case ToolResult():
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": ids.acceptable(block.id)}
            if content := [written for part in block.content if (written := _write_block(part))]:
                result["content"] = content
            if block.error:
                result["is_error"] = True
            return write_cache(result, block.cache)
        case ReasoningBlock():
            return _write_reasoning(block)


def _write_text(text: TextBlock) -> dict[str, Any]:
    return write_cache({"type": "text", "text": text.text}, text.cache)


def _write_media(block: ImageBlock | FileBlock) -> dict[str, Any]:
    kind = "image" if isinstance(block, ImageBlock) else "document"
    if block.url:
        source = {"type": "url", "url": block.url}
    elif kind == "image" or block.media_type == "application/pdf":
        source = {"type": "base64", "media_type": block.media_type, "data": block.data}
    else:
        raise cannot_carry(Node(None, f"a file of type {block.media_type}"))
    members: dict[str, Any] = {"type": kind, "source": source}
    if isinstance(block, FileBlock) and block.name:
        members["title"] = block.name
    return write_cache(members, block.cache)


def _write_reasoning(block: ReasoningBlock) -> dict[str, Any]:
    """Write reasoning that Anthropic signed. It refuses any other."""
    if block.origin != Format.MESSAGES or not block.signature:
        return {}
    if block.redacted:
        return {"type": "redacted_thinking", "data": block.signature}
    return {"type": "thinking", "thinking": block.text, "signature": block.signature}


def _write_tool(tool: ToolDefinition) -> dict[str, Any]:
    schema = {"type": "object", **(tool.schema or {})}
    members: dict[str, Any] = {"name": tool.name, "input_schema": closed_schema(schema) if tool.strict else schema}
    if tool.description:
        members["description"] = tool.description
    if tool.strict:
        members["strict"] = True
    return write_cache(members, tool.cache)


def _offered(request: ModelRequest) -> tuple[ToolDefinition, ...]:
    """Return the tools that the model may call. The format has no choice among several of them."""
    choice = request.tool_choice
    if choice is None or choice.choice is not Choice.NAMED:
        return request.tools
    return tuple(tool for tool in request.tools if len(choice.names) == 1 or tool.name in choice.names)


def _write_choice(request: ModelRequest) -> dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None and (request.parallel is not False or not request.tools):
        return None
    if choice is not None and choice.choice is Choice.NAMED:
        one = len(choice.names) == 1
        members: dict[str, Any] = {"type": "tool", "name": choice.names[0]} if one else {"type": "any"}
    else:
        members = {"type": _CHOICE_NAMES[choice.choice] if choice else "auto"}
    if request.parallel is False and members["type"] != "none":
        members["disable_parallel_tool_use"] = True
    return members


def _write_shape(shape: Shape | None) -> dict[str, Any]:
    if shape is None:
        return {}
    return {"format": {"type": "json_schema", "schema": closed_schema(shape.schema or {})}}


def _write_thinking(request: ModelRequest, model: str, limit: int) -> dict[str, Any]:
    """Write the thinking options, in the form of the model's generation."""
    thinking = request.thinking
    if thinking is None or _UNKNOWN < _version(model) < _FIRST_THINKING:
        return {}
    if thinking.effort == "none" or thinking.budget == 0:
        # Later models refuse to be told not to think, and do not think by themselves or think little.
        if _version(model) >= (4, 7):
            return {"output_config": {"effort": "low"}}
        return {"thinking": {"type": "disabled"}}
    forced = request.tool_choice is not None and request.tool_choice.choice in (Choice.REQUIRED, Choice.NAMED)
    if forced:
        return {}  # refused together
    if is_adaptive(model):
        effort = effort_of(thinking)
        names = _EFFORTS if _version(model) >= (4, 7) else _EFFORTS_OF_4_6
        config = {"output_config": {"effort": names.get(effort, effort)}} if effort else {}
        return {"thinking": {"type": "adaptive", "display": "summarized" if thinking.shown else "omitted"}, **config}
    if _misses_thoughts(request.messages):
        return {}  # refused together
    budget = budget_of(thinking)
    budget = min(limit - 1, budget if budget is not None and budget > 0 else 10_000)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= LEAST_BUDGET else {}


def _write_top_p(request: ModelRequest, model: str, *, thinks: bool) -> float | None:
    """Return the limit of probability. Claude from 4.1 on refuses it beside a temperature."""
    if thinks:
        return request.top_p if (request.top_p or 0) >= 0.95 else None
    return None if request.temperature is not None and _version(model) >= (4, 1) else request.top_p


def is_adaptive(model: str) -> bool:
    """Tell whether a model sets its own thinking time: Claude from 4.6 on. The later ones refuse budgets."""
    return _version(model) >= (4, 6)


def _version(model: str) -> tuple[int, int]:
    version = _VERSION.search(model)
    if version is None:
        return _PREVIEW if "claude-mythos" in model else _UNKNOWN
    return int(version[1]), int(version[2] or 0)


def _misses_thoughts(messages: tuple[Turn, ...]) -> bool:
    """Tell whether Anthropic misses thoughts: of a turn that the model finishes, or of its last calls of tools."""
    last = next((message for message in reversed(messages) if message.role == "assistant"), None)
    if last is None:
        return False
    if messages[-1].role == "assistant":
        return True
    calls = any(isinstance(block, ToolCall) for block in last.blocks)
    signed = any(
        isinstance(block, ReasoningBlock) and block.origin == Format.MESSAGES and block.signature
        for block in last.blocks
    )
    return calls and not signed
