"""Parse the request headers that identify callers. All planes use these parsers."""

from __future__ import annotations


def bearer_of(authorization: str) -> str:
    """Return the token of an ``Authorization`` header; empty when its scheme is not ``Bearer`` (RFC 6750, 2.1).

    The scheme's case does not matter (RFC 9110, 11.1).
    """
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def client_address(forwarded_for: str, peer: str) -> str:
    """Return the client's address by ``X-Forwarded-For``, or the connected ``peer`` when the header is empty.

    Clients can send the header themselves, so only its end is trusted. The edge appends the client's address, and a
    proxy between the edge and us may append the edge's. The client is the last hop but one, or the only hop.
    """
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    return hops[-2:][0] if hops else peer
