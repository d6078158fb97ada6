"""Inspection of requests of Messages: the facts on which the gateway decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.hosted import leave_out_tools
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_name

_CLIENT_TOOLS = ("", "custom")
_OF_HOSTED_TOOLS = ("mcp_servers", "container")
"""Members that mean nothing without tools of the provider."""
_CLIENT_FAMILIES = ("bash_", "text_editor_", "memory_", "computer_", "browser_")  # Anthropic's, run by the client


def inspect(node: Node, facts: RequestFacts) -> None:
    """Collect the facts. Raises :class:`Malformed` for a request that is not in the format."""
    for message in node.each("messages"):
        message.needed("role")
        _inspect_content(message, facts)
    leave_out_tools(node, facts, _hosted, _is_forced, ("tool_choice",))
    for key in _OF_HOSTED_TOOLS:
        if node.raw(key):
            facts.leaves_out(key)
            facts.changes[key] = None
    if node.raw("thread"):
        facts.unknown_size("thread")
        facts.stores("thread")
    facts.compacts = bool(node.raw("compaction")) or _compacts(node.raw("context_management"))
    facts.tier = _tier(node)


def _hosted(tool: Node) -> str:
    kind = tool.text("type")
    return "" if kind in _CLIENT_TOOLS or kind.startswith(_CLIENT_FAMILIES) else kind


def _is_forced(node: Node, tool: Mapping[str, Any]) -> bool:
    choice = node.at("tool_choice")
    return choice.text("type") == "tool" and choice.text("name") == tool.get("name")


def _tier(node: Node) -> str:
    if (region := node.text("inference_geo")) not in ("", "global"):
        return f"inference_geo {region}"
    speed = node.text("speed")
    return speed if speed not in ("", "standard") else tier_name(node.text("service_tier"))


def _compacts(management: object) -> bool:
    """Tell whether edits of the context may compact it. They are a hint, so a wrong form is no error."""
    edits: object = cast("dict[str, object]", management).get("edits") if isinstance(management, dict) else None
    kinds = [
        cast("dict[str, object]", edit).get("type")
        for edit in (cast("list[object]", edits) if isinstance(edits, list) else [])
        if isinstance(edit, dict)
    ]
    return any(isinstance(kind, str) and kind.startswith("compact") for kind in kinds)


def _inspect_content(node: Node, facts: RequestFacts) -> None:
    if not isinstance(node.raw("content"), list):
        return
    for block in node.each("content"):
        match block.needed("type"):
            case "image":
                facts.images += 1
                _inspect_source(block, facts)
            case "document":
                _inspect_document(block, facts)
            case "container_upload":
                facts.documents += 1
                facts.unknown_size(f"a file by id ({block.path})")
            case _:
                _inspect_result(block, facts)


def _inspect_result(block: Node, facts: RequestFacts) -> None:
    """Collect the facts of a tool's result. Results of provider tools may be an object with its own content."""
    if not isinstance(block.raw("content"), dict):
        _inspect_content(block, facts)
        return
    inner = block.at("content")
    if inner.text("type") == "document":
        _inspect_document(inner, facts)
    else:
        _inspect_result(inner, facts)


def _inspect_document(block: Node, facts: RequestFacts) -> None:
    source = block.at("source")
    if source.text("type") == "text":
        return  # counted as text
    if source.text("type") == "content":
        _inspect_content(source, facts)
        return
    facts.file(block.path, source.text("media_type"))
    _inspect_source(block, facts)


def _inspect_source(block: Node, facts: RequestFacts) -> None:
    kind = block.at("source").needed("type")
    if kind != "base64":
        facts.unknown_size(f"a file by {'URL' if kind == 'url' else 'id'} ({block.path})")
