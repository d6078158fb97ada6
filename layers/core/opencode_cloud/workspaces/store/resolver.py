"""Look up TXT records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    import dns.resolver

LIFETIME_SECONDS = 5.0


class Resolver:
    """A DNS resolver that asks the machine's own servers, or the one at ``server`` (``address:port``)."""

    def __init__(self, server: str = "") -> None:
        self._server = server

    def texts(self, name: str) -> Sequence[str]:
        """Return the texts of the TXT records ``name``; empty without such records, or without an answer."""
        import dns.exception  # slow to import, and few requests verify a domain

        try:
            answer = self._resolver().resolve(name, "TXT", lifetime=LIFETIME_SECONDS, search=False)
        except dns.exception.DNSException as error:
            logger.info("no TXT record", extra={"record": name, "reason": type(error).__name__})
            return []
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]

    def _resolver(self) -> dns.resolver.Resolver:
        import dns.resolver

        if not self._server:
            return dns.resolver.Resolver()
        address, _, port = self._server.rpartition(":")
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [address]
        resolver.port = int(port)
        return resolver
