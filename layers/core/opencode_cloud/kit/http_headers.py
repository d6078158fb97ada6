"""Parse the request headers that identify callers. All planes use these parsers."""

from __future__ import annotations


def bearer_of(authorization: str) -> str:
    """Return the token of an ``Authorization`` header; empty when its scheme is not ``Bearer`` (RFC 6750, 2.1).

    The scheme's case does not matter (RFC 9110, 11.1).
    """
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
