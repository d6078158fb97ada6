"""Inspection of requests of Responses: the facts on which the gateway decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from opencode_cloud.gateway.formats.facts import RequestFacts
from opencode_cloud.gateway.formats.hosted import leave_out_tools
from opencode_cloud.gateway.formats.media import type_of_data_url
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.service_tiers import tier_name

_CLIENT_TOOLS = frozenset({"function", "custom", "namespace", "local_shell", "apply_patch", "computer"})
_REFERENCES = ("previous_response_id", "conversation", "prompt")


def inspect(node: Node, facts: RequestFacts) -> None:
    """Collect the facts. Raises :class:`Malformed` for a request that is not in the format."""
    if node.flag("background"):
        raise node.at("background").wrong("is not accepted: its usage cannot be counted")
    for key in _REFERENCES:
        if node.raw(key):
            facts.unknown_size(key)
            facts.stores(key)
    if isinstance(node.raw("input"), list):
        for item in node.each("input"):
            _inspect_item(item, facts)
    if node.raw("client_metadata"):
        # Codex puts the ids of its installation, session and thread there, which providers must not get.
        facts.leaves_out("client_metadata")
        facts.changes["client_metadata"] = None
    leave_out_tools(node, facts, _hosted, _is_forced, ("tool_choice", "parallel_tool_calls"))
    _leave_out_added(node, facts)
    facts.tier = tier_name(node.text("service_tier"))
    if (mode := node.at("reasoning").text("mode")) not in ("", "standard"):
        facts.tier = f"reasoning mode {mode}"


def _inspect_item(item: Node, facts: RequestFacts) -> None:
    kind = item.text("type") or ("message" if item.raw("role") else "item_reference")
    if kind == "item_reference":
        facts.unknown_size(f"an item by id ({item.path})")
        facts.stores(f"an item by id ({item.path})")
    if isinstance(item.raw("output"), dict):
        _inspect_part(item.at("output"), facts)
    for key in ("content", "output"):
        if isinstance(item.raw(key), list):
            for part in item.each(key):
                _inspect_part(part, facts)


def _leave_out_added(node: Node, facts: RequestFacts) -> None:
    """Leave out hosted tools that the input adds."""
    items: list[object] = []
    changed = False
    for item in node.each("input") if isinstance(node.raw("input"), list) else ():
        added = list(item.each("tools")) if item.text("type") == "additional_tools" else []
        hosted = [kind for tool in added if (kind := _hosted(tool))]
        for kind in hosted:
            facts.leaves_out(f"tools.{kind}")
        kept = [tool.value for tool in added if not _hosted(tool)]
        items.append({**item.members(), "tools": kept} if hosted else item.value)
        changed = changed or bool(hosted)
    if changed:
        facts.changes["input"] = items


def _hosted(tool: Node) -> str:
    kind = tool.needed("type")
    local = kind == "shell" and tool.at("environment").text("type") == "local"
    return "" if kind in _CLIENT_TOOLS or kind.startswith("computer_use") or local else kind


def _is_forced(node: Node, tool: Mapping[str, Any]) -> bool:
    choice = node.raw("tool_choice")
    return isinstance(choice, dict) and cast("dict[str, object]", choice).get("type") == tool.get("type")


def _inspect_part(part: Node, facts: RequestFacts) -> None:
    match part.text("type"):
        case "input_image" | "computer_screenshot":
            facts.image(part.text("image_url"), part.path)
        case "input_file":
            facts.file(part.path, type_of_data_url(part.text("file_data")))
            if not part.text("file_data"):
                facts.unknown_size(f"a file by id or URL ({part.path})")
        case "input_audio":
            facts.file(part.path, "audio")
        case _:
            pass
