"""Networks of IP addresses: the one that counts as one caller, and those that are private."""

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


def is_private(address: str) -> bool:
    """Tell whether an IP address is outside the public internet."""
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return not (mapped or ip).is_global or (mapped or ip).is_multicast


def is_private_host(host: str) -> bool:
    """Tell from its spelling whether a host is in a private network. Other hosts are checked at each call."""
    try:
        return is_private(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
