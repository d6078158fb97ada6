"""The names of the tools that a body offers to the model, by the members of all formats that the gateway knows.

The formats share one function: a body must not get a tool past the policy by another format's member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from opencode_cloud.contracts.tools import ToolName

_WRAPPERS = ("function", "custom", "namespace")
"""Kinds of tools that say nothing about what a tool does: its name does."""


def tool_names(document: Mapping[str, Any]) -> Iterator[ToolName]:
    """Yield the names of a body's tools.

    Responses may offer some in groups (``namespace``), or in the middle of its input (``additional_tools``). A tool
    without a name is known by its kind, such as ``local_shell``.
    """
    yield from _of(document.get("tools"))
    yield from _named(_objects(document.get("functions")))
    for item in _objects(document.get("input")):
        yield from _of(item.get("tools"))


def _of(tools: object, namespace: str = "") -> Iterator[ToolName]:
    for tool in _objects(tools):
        names = list(_named(_objects([tool, tool.get("function"), tool.get("custom")]), namespace))
        # Google's entries contain several functions; OpenAI's contain one, and its kind.
        names += _named(_objects(tool.get("functionDeclarations") or tool.get("function_declarations")), namespace)
        kind = tool.get("type")
        if not names and isinstance(kind, str) and kind not in _WRAPPERS:
            names.append(ToolName(kind, namespace))
        yield from names
        yield from _of(tool.get("tools"), names[0].whole if names else namespace)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return (cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict))


def _named(entries: Iterator[dict[str, Any]], namespace: str = "") -> Iterator[ToolName]:
    return (ToolName(entry["name"], namespace) for entry in entries if isinstance(entry.get("name"), str))
