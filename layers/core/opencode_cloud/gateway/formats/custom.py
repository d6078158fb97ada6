"""Custom tools of OpenAI, whose input is free text: in other formats a function with one string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.models import ToolDefinition
from opencode_cloud.gateway.formats.reading import Node, compact

_INPUT = "input"


def custom_tool(tool: Node, name: str) -> ToolDefinition:
    """Return a custom tool as a function. Its description states the grammar of the input."""
    format_ = tool.at("format")
    grammar = format_.at("grammar") if format_.at("grammar").present() else format_
    text = {"type": "string", "description": "The input of the tool as plain text."}
    if definition := grammar.text("definition"):
        text["description"] = f"The input of the tool, in this {grammar.text('syntax')} grammar:\n{definition}"
    schema = {"type": "object", "properties": {_INPUT: text}, "required": [_INPUT]}
    return ToolDefinition(name=name, description=tool.text("description"), schema=schema)


def custom_arguments(text: str) -> str:
    """Return the input of a custom tool as arguments of the function."""
    return compact({_INPUT: text})


def custom_input(arguments: str) -> str:
    """Return the input of a custom tool in arguments of the function; other arguments are the input themselves."""
    try:
        decoded: object = msgspec.json.decode(arguments)
    except ValueError:
        return arguments
    text = cast("dict[str, object]", decoded).get(_INPUT) if isinstance(decoded, dict) else None
    return text if isinstance(text, str) else arguments


def custom_names(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the custom tools that a request of Chat Completions offers."""
    return frozenset(_names(document.get("tools")))


def _names(tools: object) -> Iterator[str]:
    for tool in cast("list[object]", tools) if isinstance(tools, list) else []:
        custom = cast("dict[str, object]", tool).get("custom") if isinstance(tool, dict) else None
        name = cast("dict[str, object]", custom).get("name") if isinstance(custom, dict) else None
        if isinstance(name, str):
            yield name
