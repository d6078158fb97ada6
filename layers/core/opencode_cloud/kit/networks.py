"""Networks of IP addresses: the one that counts as one caller, and those that are private."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPV6_NETWORK = 64
"""Prefix bits of an IPv6 network that counts as one caller: providers assign at least a /64 to each customer."""


IPV4_SITE, IPV6_SITE = 24, 48
"""Prefix bits of a network that is mostly one site's: networks in the internet's tables are not smaller."""


@lru_cache(4096)
def network_of(address: str) -> str:
    """Return the network of an IP address: an IPv4 address itself, or an IPv6 address's /64; ``unknown`` for others.

    An IPv4 address in the form of IPv6 (``::ffff:192.0.2.1``), as sockets of both families report it, counts as itself.
    """
    parsed = _parsed(address)
    return str(parsed) if isinstance(parsed, ipaddress.IPv4Address) else _around(parsed, IPV6_NETWORK)


@lru_cache(4096)
def site_of(address: str) -> str:
    """Return the site of an IP address: an IPv4 address's /24, or an IPv6 address's /48; ``unknown`` for others."""
    parsed = _parsed(address)
    return _around(parsed, IPV4_SITE if isinstance(parsed, ipaddress.IPv4Address) else IPV6_SITE)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped) or parsed


def _around(parsed: ipaddress.IPv4Address | ipaddress.IPv6Address | None, bits: int) -> str:
    return "unknown" if parsed is None else str(ipaddress.ip_network((parsed, bits), strict=False))


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
