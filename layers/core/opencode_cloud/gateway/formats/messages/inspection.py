"""Inspection of requests of Messages: the facts on which the gateway decides."""

from __future__ import annotations

from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.reading import Node

_CLIENT_TOOLS = ("", "custom")
_CLIENT_FAMILIES = ("bash_", "text_editor_", "memory_", "computer_", "browser_")  # Anthropic's, run by the client


def inspect(node: Node, facts: RequestFacts) -> None:
    """Collect the facts. Raises :class:`Malformed` for a request that is not in the format."""
    for message in node.each("messages"):
        message.needed("role")
        _inspect_content(message, facts)
    for tool in node.each("tools"):
        kind = tool.text("type")
        if kind not in _CLIENT_TOOLS and not kind.startswith(_CLIENT_FAMILIES):
            facts.hosts(kind)
    for server in node.each("mcp_servers"):
        facts.hosts(f"mcp {server.text('name')}".strip())
    if node.raw("thread"):
        facts.unknown_size("thread")
    if node.raw("container"):
        facts.hosts("container")
    facts.tier = _tier(node)


def _tier(node: Node) -> str:
    if (region := node.text("inference_geo")) not in ("", "global"):
        return f"inference_geo {region}"
    tier, speed = node.text("service_tier"), node.text("speed")
    return speed if speed not in ("", "standard") else tier if tier not in ("", "auto", "standard_only") else ""


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
    facts.documents += 1
    _inspect_source(block, facts)


def _inspect_source(block: Node, facts: RequestFacts) -> None:
    kind = block.at("source").needed("type")
    if kind != "base64":
        facts.unknown_size(f"a file by {'URL' if kind == 'url' else 'id'} ({block.path})")
