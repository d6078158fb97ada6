"""Tools that the provider runs, and bills apart from tokens.

An offered one is left out of the request: the model answers without it. A forced one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.reading import Node


def leave_out_tools(
    node: Node,
    facts: RequestFacts,
    hosted: Callable[[Node], str],
    forced: Callable[[Node, Mapping[str, Any]], bool],
    dependents: tuple[str, ...],
) -> None:
    """Record the hosted tools of a request, and the change that leaves them out.

    ``hosted`` returns the kind of a hosted tool, empty for other tools. ``forced`` tells whether the choice requires a
    tool call that only the given hosted tools can satisfy; its second argument is a hosted tool. ``dependents`` are
    the members that mean nothing without tools.
    """
    kept: list[object] = []
    left: list[tuple[str, Mapping[str, Any]]] = []
    for tool in node.each("tools"):
        if kind := hosted(tool):
            left.append((kind, tool.members()))
        else:
            kept.append(tool.value)
    if not left:
        return
    for kind, tool in left:
        if forced(node, tool) or (not kept and requires_a_call(node)):
            facts.hosts(kind)
        facts.leaves_out(f"tools.{kind}")
    facts.changes["tools"] = kept or None
    if not kept:
        facts.changes |= {name: None for name in dependents if node.raw(name) is not None}


def requires_a_call(node: Node) -> bool:
    """Tell whether the choice requires any tool call."""
    choice: object = node.raw("tool_choice")
    if isinstance(choice, dict):
        members = cast("dict[str, object]", choice)
        allowed = members.get("allowed_tools")
        inner = cast("dict[str, object]", allowed) if isinstance(allowed, dict) else members
        return members.get("type") == "any" or inner.get("mode") == "required"
    return choice == "required"
