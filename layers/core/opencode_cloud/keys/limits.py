"""Limits of keys: validate them, and compare them. A limit can only be narrowed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from opencode_cloud.contracts.access import matches
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.keys.models import KeyLimits, invalid_limit

MOST_ENTRIES = 100
LONGEST_LIFE = timedelta(days=3653)
PATTERN = re.compile(r"[A-Za-z0-9._:@/*-]{1,200}")
"""A model's name as ``provider/model``, where ``*`` stands for any text."""


def checked(
    scopes: Sequence[KeyScope],
    models: Sequence[str] | None,
    networks: Sequence[str] | None,
    expires_at: datetime | None,
    now: datetime,
) -> KeyLimits:
    """Return requested limits in canonical form; raises ``invalid_limit``."""
    if not scopes:
        raise invalid_limit("scopes", "name at least one")
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise invalid_limit("expires_at", "this is in the past, or more than ten years ahead")
    return KeyLimits(
        scopes=frozenset(scopes), models=_patterns(models), networks=_networks(networks), expires_at=expires_at
    )


def wider(limits: KeyLimits, bound: KeyLimits) -> str | None:
    """Return the name of a limit by which ``limits`` exceeds ``bound``; None when it exceeds none."""
    if not limits.scopes <= bound.scopes:
        return "scopes"
    if bound.models is not None and not _each_covered(limits.models, bound.models, covers):
        return "models"
    if bound.networks is not None and not _each_covered(limits.networks, bound.networks, contains):
        return "networks"
    if bound.expires_at is not None and (limits.expires_at is None or limits.expires_at > bound.expires_at):
        return "expires_at"
    return None


def covers(wide: str, narrow: str) -> bool:
    """Tell whether the pattern ``wide`` matches every model that ``narrow`` matches.

    Only a star of ``wide`` can match a star of ``narrow``, since names of models contain no star.
    """
    return matches(wide, narrow)


def contains(wide: str, narrow: str) -> bool:
    """Tell whether the network ``narrow`` lies within ``wide``."""
    outer, inner = ipaddress.ip_network(wide), ipaddress.ip_network(narrow)
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _each_covered(entries: tuple[str, ...] | None, bound: tuple[str, ...], within: Callable[[str, str], bool]) -> bool:
    return entries is not None and all(any(within(wide, narrow) for wide in bound) for narrow in entries)


def _patterns(models: Sequence[str] | None) -> tuple[str, ...] | None:
    if models is None:
        return None
    _check_count("models", models)
    for pattern in models:
        if not PATTERN.fullmatch(pattern):
            raise invalid_limit("models", f"`{pattern}` is no pattern such as `anthropic/*`")
    return tuple(sorted(set(models)))


def _networks(networks: Sequence[str] | None) -> tuple[str, ...] | None:
    if networks is None:
        return None
    _check_count("networks", networks)
    try:
        return tuple(sorted({str(ipaddress.ip_network(network.strip())) for network in networks}))
    except ValueError as error:
        raise invalid_limit("networks", f"{error} (write it as `203.0.113.0/24`)") from error


def _check_count(field: str, entries: Sequence[str]) -> None:
    if not 1 <= len(entries) <= MOST_ENTRIES:
        raise invalid_limit(field, f"name 1 to {MOST_ENTRIES}, or null for no limit")
