"""Inspection of requests of Chat Completions: the facts on which the gateway decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.hosted import leave_out_tools
from opencode_cloud.gateway.formats.media import type_of_data_url
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_name

_CLIENT_TOOLS = ("function", "custom")


def inspect(node: Node, facts: RequestFacts) -> None:
    """Collect the facts. Raises :class:`Malformed` for a request that is not in the format."""
    for message in node.each("messages"):
        message.needed("role")
        if isinstance(message.raw("content"), list):
            for part in message.each("content"):
                _inspect_part(part, facts)
        if message.raw("audio"):
            facts.unknown_size(f"an earlier sound by id ({message.path}.audio)")
    if node.raw("chat_template"):
        facts.unknown_size("chat_template")  # a program, which can repeat its inputs
    _inspect_hosted(node, facts)
    facts.tier = tier_name(node.text("service_tier"))


def _inspect_hosted(node: Node, facts: RequestFacts) -> None:
    leave_out_tools(node, facts, _hosted, _is_forced, ("tool_choice", "parallel_tool_calls"))
    if node.raw("web_search_options") is not None:
        facts.leaves_out("web_search_options")
        facts.changes["web_search_options"] = None
    for kind in node.texts("modalities"):
        facts.wants(kind, "modalities")
    if node.raw("store"):
        facts.changes["store"] = None  # nothing is stored at a provider, whose key all workspaces share


def _hosted(tool: Node) -> str:
    kind = tool.needed("type")
    return "" if kind in _CLIENT_TOOLS else kind


def _is_forced(node: Node, tool: Mapping[str, Any]) -> bool:
    choice = node.raw("tool_choice")
    return isinstance(choice, dict) and cast("dict[str, object]", choice).get("type") == tool.get("type")


def _inspect_part(part: Node, facts: RequestFacts) -> None:
    match part.needed("type"):
        case "text" | "refusal":
            pass
        case "image_url":
            image = part.at("image_url")
            url = image.string() if isinstance(image.value, str) else image.needed("url")
            facts.image(url, part.path)
        case "file":
            facts.file(part.path, type_of_data_url(part.at("file").text("file_data")))
            if not part.at("file").text("file_data").startswith("data:"):
                facts.unknown_size(f"a file by id ({part.path})")
        case "input_audio":
            facts.file(part.path, "audio")
        case "video_url" | "audio_url" as kind:
            facts.file(part.path, kind.removesuffix("_url"))
            if not part.at(kind).text("url").startswith("data:"):
                facts.unknown_size(f"a file by URL ({part.path})")
        case _:
            facts.file(part.path)
