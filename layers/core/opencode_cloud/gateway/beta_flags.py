"""Flags of Anthropic's previews (``anthropic-beta``), and the upstreams that know them.

Clients send many flags by default. Upstreams refuse a request with a flag that they do not know. So an upstream gets
only flags that it knows.
"""

from __future__ import annotations

from typing import NamedTuple

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
_BEHIND_FLAGS = {"context_management": "context-management-2025-06-27"}
"""Members of a body that upstreams refuse without their flag."""


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


def without_members(body: bytes, flags: tuple[str, ...]) -> bytes:
    """Return a body without the members whose flag is among ``flags``, which the upstream does not get."""
    # Bodies can have megabytes, so they are decoded only if such a member may be there.
    behind = [name for name, flag in _BEHIND_FLAGS.items() if flag in flags and name.encode() in body]
    if not behind:
        return body
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in members.items() if name not in behind})


def members_behind(flags: tuple[str, ...]) -> list[str]:
    """Return the members that an upstream refuses, because their flag is not among ``flags``."""
    return [name for name, flag in _BEHIND_FLAGS.items() if flag not in flags]


def _known_by(upstream: Upstream) -> frozenset[str] | None:
    """Return the flags that an upstream knows; None: all."""
    if upstream.beta_flags is not None:
        return frozenset(upstream.beta_flags)
    return BEDROCK_FLAGS if upstream.kind is UpstreamKind.BEDROCK else None
