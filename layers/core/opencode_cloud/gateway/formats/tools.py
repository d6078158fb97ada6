"""The names of the tools that a body offers to the model, by the members of all formats that the gateway knows.

The formats share one function: a body must not get a tool past the policy by another format's member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast


def tool_names(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a body's tools.

    Responses may offer some in groups (``namespace``), or in the middle of its input (``additional_tools``).
    """
    yield from _of(document.get("tools"))
    yield from _named(_objects(document.get("functions")))
    for item in _objects(document.get("input")):
        yield from _of(item.get("tools"))


def _of(tools: object) -> Iterator[str]:
    for tool in _objects(tools):
        yield from _named(_objects([tool, tool.get("function"), tool.get("custom")]))
        # Google's entries contain several functions; OpenAI's contain one, and its kind.
        yield from _named(_objects(tool.get("functionDeclarations") or tool.get("function_declarations")))
        yield from _of(tool.get("tools"))


def _objects(value: object) -> Iterator[dict[str, Any]]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return (cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict))


def _named(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (entry["name"] for entry in entries if isinstance(entry.get("name"), str))
