"""Tools of Responses: functions, functions in a namespace, and custom tools with free text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opencode_cloud.contracts.tools import ToolName
from opencode_cloud.gateway.formats import ids
from opencode_cloud.gateway.formats.custom import custom_input, custom_tool
from opencode_cloud.gateway.formats.models import ToolCall, ToolDefinition
from opencode_cloud.gateway.formats.reading import Node

_ADDED = "additional_tools"


def flat_name(tool: Node) -> str:
    """Return the name of a tool, or of the tool of a call, with its namespace."""
    return ToolName(tool.needed("name"), tool.text("namespace")).whole


def read_tools(node: Node) -> Iterator[ToolDefinition]:
    """Yield the tools of a request, also those that its input adds later."""
    for tool, namespace in _each(node):
        name = ToolName(tool.needed("name"), namespace).whole
        if tool.text("type") == "custom":
            yield custom_tool(tool, name)
        else:
            yield ToolDefinition(
                name=name,
                description=tool.text("description"),
                schema=tool.mapping("parameters"),
                strict=tool.flag("strict"),
            )


def unread_tools(node: Node) -> Iterator[str]:
    """Yield the tools that the client runs by OpenAI's definition: no other model knows them."""
    for tools in _lists(node):
        for tool in tools:
            if (kind := tool.text("type")) not in ("function", "custom", "namespace"):
                yield f"tools.{kind}"


class OfferedTools:
    """The tools that a client offered, to write calls of them in the client's form."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._namespaces: dict[str, tuple[str, str]] = {}
        self._custom: set[str] = set()
        for tool, namespace in _each(Node(document)):
            name = ToolName(tool.needed("name"), namespace).whole
            if namespace:
                self._namespaces[name] = (namespace, tool.needed("name"))
            if tool.text("type") == "custom":
                self._custom.add(name)

    def is_custom(self, name: str) -> bool:
        """Tell whether calls of a tool have free text in place of arguments."""
        return name in self._custom

    def item(self, call: ToolCall, item_id: str = "") -> dict[str, Any]:
        """Return a call as a finished item of the output."""
        namespace, name = self._namespaces.get(call.name, ("", call.name))
        within = {"namespace": namespace} if namespace else {}
        members = {"status": "completed", "call_id": call.id, **within, "name": name}
        if self.is_custom(call.name):
            text = custom_input(call.arguments)
            return {"type": "custom_tool_call", "id": item_id or ids.new("ctc_"), **members, "input": text}
        arguments = call.arguments or "{}"
        return {"type": "function_call", "id": item_id or ids.new("fc_"), **members, "arguments": arguments}


def _lists(node: Node) -> Iterator[Iterator[Node]]:
    yield node.each("tools")
    if isinstance(node.raw("input"), list):
        yield from (item.each("tools") for item in node.each("input") if item.text("type") == _ADDED)


def _each(node: Node) -> Iterator[tuple[Node, str]]:
    """Yield functions and custom tools, each with its namespace."""
    for tools in _lists(node):
        for tool in tools:
            kind = tool.needed("type")
            if kind == "namespace":
                yield from ((inner, tool.needed("name")) for inner in tool.each("tools"))
            elif kind in ("function", "custom"):
                yield tool, ""
