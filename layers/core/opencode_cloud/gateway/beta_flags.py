"""Flags of Anthropic's previews (``anthropic-beta``), and the upstreams that know them.

Clients send many flags by default. Upstreams refuse a request with a flag that they do not know. So an upstream gets
only flags that it knows.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple, cast

import msgspec

from opencode_cloud.catalogue.models import Upstream, UpstreamKind

HEADER = "anthropic-beta"
BEDROCK_FLAGS = frozenset(
    {
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "token-efficient-tools-2025-02-19",
        "output-128k-2025-02-19",
        "interleaved-thinking-2025-05-14",
        "dev-full-thinking-2025-05-14",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "effort-2025-11-24",
        "tool-examples-2025-10-29",
        "tool-search-tool-2025-10-19",
    }
)
"""Flags that Amazon Bedrock documents."""
_ADVANCED = "advanced-tool-use-2025-11-20"
_BEHIND_FLAGS = {"context_management": ("context-management-2025-06-27",)}
"""Members of a body that upstreams refuse without one of their flags."""
_OF_TOOLS = {
    "eager_input_streaming": ("fine-grained-tool-streaming-2025-05-14",),
    "defer_loading": ("tool-search-tool-2025-10-19", _ADVANCED),
    "input_examples": ("tool-examples-2025-10-29", _ADVANCED),
    "allowed_callers": (_ADVANCED,),
}
"""The same of a tool."""
_OF_MARKS = {"scope": ("prompt-caching-scope-2026-01-05",)}
"""The same of a cache mark."""
_MARKED = ("system", "tools", "messages")
"""Members of a body that have cache marks in them."""


class SortedFlags(NamedTuple):
    """The flags of a request at one upstream."""

    known: tuple[str, ...]
    unknown: tuple[str, ...]


def sorted_flags(upstream: Upstream, header: str) -> SortedFlags:
    """Return the flags in a client's header, by whether the upstream knows them.

    The catalogue can list the flags of an upstream. Otherwise upstreams of kind ``anthropic`` know every flag, and
    Bedrock knows those that it documents.
    """
    flags = tuple(dict.fromkeys(flag for name in header.split(",") if (flag := name.strip())))
    known = _known_by(upstream)
    if known is None:
        return SortedFlags(flags, ())
    return SortedFlags(
        tuple(flag for flag in flags if flag in known), tuple(flag for flag in flags if flag not in known)
    )


def without_members(body: bytes, upstream: Upstream) -> bytes:
    """Return a body without the members that an upstream refuses, because it does not know their flag."""
    known = _known_by(upstream)
    # Bodies can have megabytes, so they are decoded only if such a member may be there.
    if known is None or not any(name in body for name in _names(known)):
        return body
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(members) if remove_members(members, known) else body


def remove_members(members: dict[str, msgspec.Raw], flags: Container[str]) -> bool:
    """Remove the members of a body whose flags are not among ``flags``. Tell whether there were any.

    Members without such members keep their bytes.
    """
    behind = [name for name in _unknown(_BEHIND_FLAGS, flags) if name in members]
    for name in behind:
        del members[name]
    of_tools, of_marks = _unknown(_OF_TOOLS, flags), _unknown(_OF_MARKS, flags)
    changed = bool(behind)
    for name in _MARKED:
        raw = bytes(members.get(name, b""))
        if any(b'"%b"' % each.encode() in raw for each in (*of_marks, *(of_tools if name == "tools" else ()))):
            value: object = _plain(msgspec.json.decode(raw), of_marks)
            members[name] = msgspec.Raw(msgspec.json.encode(_tools(value, of_tools) if name == "tools" else value))
            changed = True
    return changed


def _plain(value: object, of_marks: list[str]) -> object:
    """Return a value whose cache marks have none of the given members."""
    if isinstance(value, list):
        return [_plain(part, of_marks) for part in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = {
        name: _plain(part, of_marks) if name == "content" else part
        for name, part in cast("dict[str, object]", value).items()
    }
    if isinstance(mark := members.get("cache_control"), dict):
        members["cache_control"] = _without(cast("dict[str, object]", mark), of_marks)
    return members


def _tools(value: object, of_tools: list[str]) -> object:
    tools = cast("list[object]", value) if isinstance(value, list) else []
    return [_without(cast("dict[str, object]", tool), of_tools) if isinstance(tool, dict) else tool for tool in tools]


def _without(members: dict[str, object], names: list[str]) -> dict[str, object]:
    return {name: value for name, value in members.items() if name not in names}


def _unknown(behind: Mapping[str, tuple[str, ...]], flags: Container[str]) -> list[str]:
    return [name for name, own in behind.items() if not any(flag in flags for flag in own)]


def _names(flags: Container[str]) -> Iterator[bytes]:
    for behind in (_BEHIND_FLAGS, _OF_TOOLS, _OF_MARKS):
        yield from (b'"%b"' % name.encode() for name in _unknown(behind, flags))


def _known_by(upstream: Upstream) -> frozenset[str] | None:
    """Return the flags that an upstream knows; None: all."""
    if upstream.beta_flags is not None:
        return frozenset(upstream.beta_flags)
    return BEDROCK_FLAGS if upstream.kind is UpstreamKind.BEDROCK else None
