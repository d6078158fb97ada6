"""Requests of Responses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.custom import custom_arguments
from opencode_cloud.gateway.formats.efforts import effort_within, thinks
from opencode_cloud.gateway.formats.media import document_at, image_at, image_url, sound_of, to_data_url
from opencode_cloud.gateway.formats.models import (
    Block,
    Choice,
    FileBlock,
    ImageBlock,
    ModelRequest,
    ParsedRequest,
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
from opencode_cloud.gateway.formats.reading import Node, compact, without_empty
from opencode_cloud.gateway.formats.responses.tools import flat_name, read_tools, unread_tools
from opencode_cloud.gateway.formats.sealing import unseal
from opencode_cloud.gateway.formats.writing import cannot_carry, effort_of

_REASONING = re.compile(r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|\d\d))")  # models that accept the member of the next line
CLIENT_CALLS = {"local_shell_call": "local_shell", "shell_call": "shell", "apply_patch_call": "apply_patch"}
"""Calls of tools that the client runs by OpenAI's definition. To other models they are calls of functions."""
_ENCRYPTED = "reasoning.encrypted_content"
_UNREADABLE = (
    "is encrypted, and only the upstream that wrote it can read it. Send the messages that it stands for, begin a new "
    "conversation, or call the earlier model"
)
_COMPACTIONS = {
    "compaction": _UNREADABLE,
    "compaction_summary": _UNREADABLE,
    "context_compaction": _UNREADABLE,
    "compaction_trigger": "asks for a compaction by the provider, which this model's upstream does not offer. Ask the "
    "model for a summary",
}
"""Items of a compaction, and why a model of another format cannot have them. Two have names of earlier clients."""


def read(node: Node) -> ModelRequest:
    """Read a request. Raises :class:`Malformed`, also for contents that no other format can express."""
    system, messages = _read_input(node)
    text = node.at("text")
    return ModelRequest(
        system=system,
        messages=messages,
        tools=tuple(read_tools(node)),
        dropped=tuple(unread_tools(node)),
        tool_choice=_read_choice(node.at("tool_choice")),
        parallel=node.flag("parallel_tool_calls"),
        max_output=output_limit(node),
        temperature=node.number("temperature"),
        top_p=node.number("top_p"),
        shape=_read_shape(text.at("format")),
        thinking=_read_thinking(node.at("reasoning")),
        verbosity=text.text("verbosity"),
        user=node.text("safety_identifier") or node.text("user"),
        cache_key=node.text("prompt_cache_key"),
        stream=bool(node.flag("stream")),
    )


def output_limit(node: Node) -> int | None:
    """Return the limit of an answer in tokens."""
    return node.positive("max_output_tokens")


def overrides(parsed: ParsedRequest, upstream_model: str) -> dict[str, Any]:
    """Return the members to replace on the way to an upstream of this format.

    Nothing is stored at a provider, whose key all workspaces share. A client that relies on storage gets the reasoning
    in encrypted form, so that its next request can contain it.
    """
    members: dict[str, Any] = {"model": upstream_model, "store": False}
    included: object = parsed.document.get("include") or []
    if parsed.document.get("store") is not False and _REASONING.search(upstream_model) and isinstance(included, list):
        others = [name for name in cast("list[object]", included) if name != _ENCRYPTED]
        members["include"] = [*others, _ENCRYPTED]
    return members


def _read_input(node: Node) -> tuple[tuple[TextBlock, ...], tuple[Turn, ...]]:
    system = [TextBlock(instructions)] if (instructions := node.text("instructions")) else []
    if isinstance(text := node.raw("input"), str):
        return tuple(system), (Turn("user", (TextBlock(text),)),)
    messages: list[Turn] = []
    for item in node.each("input"):
        role, blocks = _read_item(item)
        if role == "system" and not messages:
            system += [block for block in blocks if isinstance(block, TextBlock)]
        elif blocks:
            _append(messages, role, blocks)
    if not messages and system and any(node.each("input")):  # OpenAI takes instructions alone
        return (), (Turn("user", tuple(system)),)
    if not messages:
        raise node.at("input").wrong("must have a message of the user")
    return tuple(system), tuple(messages)


def _append(messages: list[Turn], role: str, blocks: tuple[Block, ...]) -> None:
    """Add an item to the turn that it belongs to: the assistant's own, or that of its calls' results."""
    if messages and messages[-1].role == role and (role == "assistant" or _are_results(messages[-1].blocks + blocks)):
        messages[-1] = Turn(role, messages[-1].blocks + blocks)
    else:
        messages.append(Turn(role, blocks))


def _are_results(blocks: tuple[Block, ...]) -> bool:
    return all(isinstance(block, ToolResult) for block in blocks)


def _read_item(item: Node) -> tuple[str, tuple[Block, ...]]:
    match kind := item.text("type") or "message":
        case "message":
            role = item.needed("role")
            role = "system" if role == "developer" else role
            if role not in ("system", "user", "assistant"):
                raise item.at("role").wrong("must be user, assistant, system or developer")
            return role, tuple(_read_parts(item, "content"))
        case "function_call":
            call = ToolCall(id=item.needed("call_id"), name=flat_name(item), arguments=item.text("arguments"))
            return "assistant", (call,)
        case "custom_tool_call":
            arguments = custom_arguments(item.text("input"))
            return "assistant", (ToolCall(id=item.needed("call_id"), name=flat_name(item), arguments=arguments),)
        case "function_call_output" | "custom_tool_call_output":
            return "user", (ToolResult(id=item.needed("call_id"), content=tuple(_read_parts(item, "output"))),)
        case "reasoning":
            return "assistant", (_read_reasoning(item),)
        case (
            "additional_tools"
            | "web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | ("image_generation_call" | "mcp_call" | "mcp_list_tools" | "tool_search_call" | "tool_search_output")
        ):
            return "assistant", ()  # tools, which are read apart, and work of the provider, which others cannot read
        case _ if kind in CLIENT_CALLS:
            action = compact(item.raw("action") or item.raw("operation") or {})
            return "assistant", (ToolCall(id=item.needed("call_id"), name=CLIENT_CALLS[kind], arguments=action),)
        case _ if kind.removesuffix("_output") in CLIENT_CALLS:
            return "user", (ToolResult(id=item.needed("call_id"), content=tuple(_read_output(item))),)
        case _:
            reason = _COMPACTIONS.get(kind)
            raise item.wrong(f"({kind}) {reason}") if reason else cannot_carry(item, kind)


def _read_output(item: Node) -> Iterator[TextBlock | ImageBlock | FileBlock]:
    """Yield the output of a tool that the client runs by OpenAI's definition, in its own form."""
    output = item.raw("output")
    yield TextBlock(output if isinstance(output, str) else compact(output))


def _read_parts(item: Node, key: str) -> Iterator[TextBlock | ImageBlock | FileBlock]:
    if isinstance(text := item.raw(key), str):
        yield TextBlock(text)
        return
    for part in item.each(key):
        match kind := part.needed("type"):
            case "input_text" | "output_text" | "text":
                yield TextBlock(part.text("text"))
            case "refusal":
                yield TextBlock(part.text("refusal"))
            case "input_image" if part.text("image_url"):
                yield image_at(part.text("image_url"), part.path, part.text("detail"))
            case "input_file" if part.text("file_data").startswith("data:"):
                yield document_at(part.text("file_data"), part.text("filename"), part.path)
            case "input_file" if part.text("file_url"):
                yield FileBlock(url=part.text("file_url"), name=part.text("filename"))
            case "input_audio":
                audio = part.at("input_audio")
                yield sound_of(audio.needed("format"), audio.needed("data"))
            case _:
                raise cannot_carry(part, kind)


def _read_reasoning(item: Node) -> ReasoningBlock:
    texts = [part.text("text") for key in ("summary", "content") for part in item.each(key)]
    encrypted = item.text("encrypted_content")
    return unseal(encrypted) or ReasoningBlock(
        text="\n\n".join(texts), origin=Format.RESPONSES, signature=encrypted, id=item.text("id")
    )


def _read_choice(choice: Node) -> ToolChoice | None:
    if not choice.present():
        return None
    if isinstance(choice.value, str):
        if choice.value not in ("auto", "none", "required"):
            raise choice.wrong("must be auto, none, required or a function")
        return ToolChoice(Choice(choice.value))
    kind = choice.needed("type")
    if kind in ("function", "custom"):
        return ToolChoice(Choice.NAMED, (flat_name(choice),))
    if kind == "allowed_tools":
        rule = Choice.NAMED if choice.text("mode") == "required" else Choice.AUTO
        named = (tool for tool in choice.each("tools") if tool.text("name"))
        return ToolChoice(rule, tuple(flat_name(tool) for tool in named))
    raise cannot_carry(choice, kind)


def _read_shape(format_: Node) -> Shape | None:
    kind = format_.text("type")
    if kind in ("", "text"):
        return None
    if kind == "json_object":
        return Shape()
    if kind != "json_schema":
        raise cannot_carry(format_, kind)
    return Shape(schema=format_.mapping("schema") or {}, name=format_.text("name"), strict=format_.flag("strict"))


def _read_thinking(reasoning: Node) -> Thinking | None:
    effort = reasoning.text("effort")
    shown = bool(reasoning.text("summary") or reasoning.text("generate_summary"))
    return Thinking(effort=effort, shown=shown) if effort or shown else None


def write(request: ModelRequest, model: str) -> dict[str, Any]:
    """Write a request. The upstream does not store it, and returns requested reasoning in encrypted form."""
    text = without_empty({"format": _write_shape(request.shape), "verbosity": request.verbosity or None})
    items = [item for message in request.messages for item in _write_message(message)]
    thinking = request.thinking if thinks(model) else None
    reasons = thinking is not None or any(item.get("type") == "reasoning" for item in items)
    members = {
        "model": model,
        "instructions": "\n\n".join(text.text for text in request.system) or None,
        "input": items,
        "tools": [_write_tool(tool) for tool in request.tools] or None,
        "tool_choice": _write_choice(request.tool_choice),
        "parallel_tool_calls": request.parallel if request.tools else None,
        "max_output_tokens": request.max_output,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "text": text or None,
        "reasoning": _write_thinking(thinking, model),
        "include": [_ENCRYPTED] if reasons else None,
        "store": False,
        "safety_identifier": request.user or None,
        "prompt_cache_key": request.cache_key or None,
        "stream": request.stream or None,
    }
    return without_empty(members)


def _write_message(message: Turn) -> Iterator[dict[str, Any]]:
    role = "developer" if message.role == "system" else message.role
    content: list[dict[str, Any]] = []
    for block in _followed(message.blocks):
        if isinstance(block, (ToolCall, ToolResult, ReasoningBlock)):
            yield from _write_item(block)
        elif isinstance(block, TextBlock) and role == "assistant":
            if block.text:
                yield {"type": "message", "role": role, "content": block.text}
        elif not isinstance(block, TextBlock) or block.text:
            content.append(_write_part(block))
    if content:
        yield {"type": "message", "role": role, "content": content}


def _followed(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks without reasoning at their end: OpenAI refuses reasoning without an item that follows it."""
    last = max((n for n, block in enumerate(blocks) if not _follows_nothing(block)), default=-1)
    return blocks[: last + 1]


def _follows_nothing(block: Block) -> bool:
    return isinstance(block, ReasoningBlock) or (isinstance(block, TextBlock) and not block.text)


def _write_item(block: ToolCall | ToolResult | ReasoningBlock) -> Iterator[dict[str, Any]]:
    match block:
        case ToolCall():
            call = {"call_id": ids.acceptable(block.id), "name": block.name, "arguments": block.arguments or "{}"}
            yield {"type": "function_call", **call}
        case ToolResult():
            output = _write_output(block)
            yield {"type": "function_call_output", "call_id": ids.acceptable(block.id), "output": output}
        case ReasoningBlock() if block.origin == Format.RESPONSES and block.signature:
            summary = [{"type": "summary_text", "text": block.text}] if block.text else []
            item: dict[str, Any] = {"type": "reasoning", "summary": summary, "encrypted_content": block.signature}
            yield {**item, "id": block.id} if block.id else item
        case ReasoningBlock():
            pass  # reasoning of another upstream, which would be refused


def _write_output(result: ToolResult) -> str | list[dict[str, Any]]:
    parts = list(result.content)
    first = parts[0] if parts else TextBlock("")
    if result.error and not (isinstance(first, TextBlock) and first.text.lower().startswith("error")):
        parts = (
            [TextBlock(f"Error: {first.text}"), *parts[1:]]
            if isinstance(first, TextBlock)
            else [TextBlock("Error:"), *parts]
        )
    if all(isinstance(part, TextBlock) for part in parts):
        return "\n".join(part.text for part in parts if isinstance(part, TextBlock))
    return [_write_part(part) for part in parts]


def _write_part(block: Block) -> dict[str, Any]:
    match block:
        case TextBlock():
            return {"type": "input_text", "text": block.text}
        case ImageBlock():
            return {"type": "input_image", "image_url": image_url(block), "detail": block.detail or "auto"}
        case FileBlock(url=url) if url:
            return {"type": "input_file", "file_url": url}
        case FileBlock() if not block.media_type.startswith(("audio/", "video/")):
            data = to_data_url(block.media_type, block.data)
            return {"type": "input_file", "filename": block.name or "file", "file_data": data}
        case _:
            raise cannot_carry(Node(None, "sound or video"))


def _write_tool(tool: ToolDefinition) -> dict[str, Any]:
    # The default is strict, which changes the meaning of the schema.
    members: dict[str, Any] = {"type": "function", "name": tool.name, "strict": bool(tool.strict)}
    if tool.description:
        members["description"] = tool.description
    members["parameters"] = tool.schema if tool.schema is not None else {"type": "object", "properties": {}}
    return members


def _write_choice(choice: ToolChoice | None) -> str | dict[str, Any] | None:
    if choice is None:
        return None
    if choice.choice is not Choice.NAMED:
        return choice.choice.value
    functions = [{"type": "function", "name": name} for name in choice.names]
    return functions[0] if len(functions) == 1 else {"type": "allowed_tools", "mode": "required", "tools": functions}


def _write_shape(shape: Shape | None) -> dict[str, Any] | None:
    if shape is None:
        return None
    if shape.schema is None:
        return {"type": "json_object"}
    members = {"type": "json_schema", "name": shape.name or "answer", "schema": shape.schema}
    return {**members, "strict": bool(shape.strict)}


def _write_thinking(thinking: Thinking | None, model: str) -> dict[str, Any] | None:
    if thinking is None:
        return None
    effort = effort_within(effort_of(thinking), model)
    members = {"effort": effort or None, "summary": "auto" if thinking.shown else None}
    return without_empty(members) or None
