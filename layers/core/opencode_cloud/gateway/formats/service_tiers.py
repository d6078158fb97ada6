"""Service tiers: the one that a request asks for, and the one that served, each vendor's names made one name."""

from __future__ import annotations

from typing import Any, cast

from opencode_cloud.catalogue.models import STANDARD_TIER
from opencode_cloud.gateway.formats.reading import Node

_STANDARD = frozenset({"default", "standard", "standard_only", "on_demand", "provisioned_throughput", "scale"})
"""Names of the standard tier. Capacity that is bought in advance has no other price by tokens."""
_UNSTATED = frozenset({"", "auto", "unspecified", "service_tier_unspecified", "traffic_type_unspecified"})
"""Values that name no tier: the upstream's project decides."""
_PREFIXES = ("service_tier_", "on_demand_")


def tier_name(value: object) -> str:
    """Return the name of a service tier: ``standard``, or the vendor's; empty for a value that names none."""
    name = value.lower() if isinstance(value, str) else ""
    if name in _UNSTATED:
        return ""
    if name in _STANDARD:
        return STANDARD_TIER
    bare = next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)
    return STANDARD_TIER if bare in _STANDARD else bare[:40]


def tier_of_answer(answer: Node) -> str:
    """Return the service tier that served an answer of OpenAI's formats; empty: it does not say."""
    return tier_name(answer.raw("service_tier"))


def tier_of_usage(usage: object, *members: str) -> str:
    """Return the tier in the ``members`` of a usage object: the first that is not the standard one; empty: none."""
    found = cast("dict[str, Any]", usage) if isinstance(usage, dict) else {}
    names = [name for member in members if (name := tier_name(found.get(member)))]
    return next((name for name in names if name != STANDARD_TIER), names[0] if names else "")
