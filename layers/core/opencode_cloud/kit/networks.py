"""The network that counts as one caller."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPV6_NETWORK = 64
"""Prefix bits of an IPv6 network that counts as one caller: providers assign at least a /64 to each customer."""


@lru_cache(4096)
def network_of(address: str) -> str:
    """Return the network of an IP address: an IPv4 address itself, or an IPv6 address's /64; ``unknown`` for others.

    An IPv4 address in the form of IPv6 (``::ffff:192.0.2.1``), as sockets of both families report it, counts as itself.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if not isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
