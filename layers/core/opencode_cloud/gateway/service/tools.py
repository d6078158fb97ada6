"""The tools that a request offers to the model, by name: what the policy's rules of tools are held against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from opencode_cloud.gateway.formats import Asked


def offered(asked: Asked) -> Iterator[str]:
    """Yield the names of a request's tools, in whichever format it is.

    Responses may offer some in groups (``namespace``), or in the middle of its input (``additional_tools``).
    """
    yield from _of(asked.document.get("tools"))
    yield from _named(_objects(asked.document.get("functions")))
    for item in _objects(asked.document.get("input")):
        yield from _of(item.get("tools"))


def _of(tools: object) -> Iterator[str]:
    for tool in _objects(tools):
        yield from _named(_objects([tool, tool.get("function"), tool.get("custom")]))
        # Google's entries hold several functions; OpenAI's one, beside its kind.
        yield from _named(_objects(tool.get("functionDeclarations") or tool.get("function_declarations")))
        yield from _of(tool.get("tools"))


def _objects(value: object) -> Iterator[dict[str, Any]]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return (cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict))


def _named(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (entry["name"] for entry in entries if isinstance(entry.get("name"), str))
