"""Request headers whose reading decides who somebody is: one parser for every plane."""

from __future__ import annotations


def bearer_of(authorization: str) -> str:
    """Return the token of an ``Authorization`` header; empty when its scheme is not ``Bearer`` (RFC 6750, 2.1).

    The scheme's case does not matter (RFC 9110, 11.1).
    """
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def client_address(forwarded_for: str, peer: str) -> str:
    """Return the client's address by ``X-Forwarded-For``; ``peer``, who connected to us, where the header is empty.

    Clients may send the header themselves. So only its end is trusted: the edge appends the client's address, and what
    stands between the edge and us may append the edge's. The last hop but one is the client; a single hop is as well.
    """
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    return hops[-2:][0] if hops else peer
