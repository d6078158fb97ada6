"""Who forwarded a request? Only the CDN, which sends a secret, is believed about the viewer's address and our host.

An API's own address is public too, so anybody can send forwarding headers to it. Without the secret the address is the
one that the API saw, and the host is the API's own.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from typing import Any

ORIGIN_HEADER = "x-opencode-origin"
"""The header in which the CDN sends its secret."""
VIEWER_HEADER = "x-opencode-viewer"
"""The header in which the CDN sends the viewer's address."""
EDGE = "edge"
"""The member of an event that says what the CDN forwarded. No header of a request can set it."""

Function = Callable[[dict[str, Any], Any], Any]


class Forwarded:
    """The forwarding headers of one request. They are empty unless the CDN sent them."""

    def __init__(self, headers: Mapping[str, str], secret: Callable[[], str]) -> None:
        """``secret`` is called only if a rule asks for a forwarded header that the request has."""
        self._headers = headers
        self._secret = secret

    @cached_property
    def proven(self) -> bool:
        """True if the CDN sent the request."""
        given = self._headers.get(ORIGIN_HEADER, "")
        return bool(given) and is_secret(given.encode(), self._secret().encode())

    def header(self, name: str) -> str:
        """Return a header that the CDN set; empty without it, and for a request that did not come through the CDN."""
        value = self._headers.get(name, "")
        return value if value and self.proven else ""


def behind_edge(function: Function, secret: Callable[[], str]) -> Function:
    """Return a handler whose events say what the CDN forwarded. ``secret`` returns the CDN's secret."""

    @wraps(function)
    def handle(event: dict[str, Any], context: Any) -> Any:
        return function({**event, EDGE: Forwarded(event.get("headers") or {}, secret)}, context)

    return handle


def is_secret(given: bytes, secret: bytes) -> bool:
    """Tell whether ``given`` is the CDN's secret. An empty secret never is."""
    return bool(secret) and hmac.compare_digest(given, secret)
