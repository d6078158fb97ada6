"""The address of this machine, as other machines of its network reach it."""

from __future__ import annotations

import socket

_OUTSIDE = ("192.0.2.1", 9)  # reserved for documentation (RFC 5737): nothing is sent there


def own_address() -> str:
    """Return the IP address from which this machine calls others. Raises OSError without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_OUTSIDE)  # of a datagram socket: chooses the interface, and sends nothing
        return str(probe.getsockname()[0])
