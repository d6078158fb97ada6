"""Send requests to addresses that people entered, without giving them access to our private networks."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from opencode_cloud.kit.networks import is_private, is_private_host

if TYPE_CHECKING:
    import ssl

    import urllib3

CONNECT_SECONDS, READ_SECONDS = 4, 10
_WRITTEN = re.compile(r"[\x21-\x7e]+")


class OutboundConnections:
    """Sends requests. A name is resolved once, and the checked address is called. Redirects are not followed."""

    def __init__(self, *, private: bool) -> None:
        """``private`` allows calls to addresses of private networks."""
        self._private = private

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, longest: int
    ) -> tuple[int, bytes]:
        """Send one request; return the status and at most ``longest`` bytes of the answer. Raises :func:`failures`."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        pool = _pool(parts.scheme, host, self._address(host, port), port)
        path = parts.path or "/"
        answer: Any = pool.urlopen(
            method,
            f"{path}?{parts.query}" if parts.query else path,
            body=body,
            headers={**headers, "host": parts.netloc, "user-agent": "opencode-cloud"},
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return answer.status, answer.read(longest, decode_content=True)
        finally:
            answer.close()
            pool.close()

    def _address(self, host: str, port: int) -> str:
        """Resolve a name; raises :class:`OSError` when one of its addresses is forbidden."""
        addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if not self._private and any(is_private(address) for address in addresses):
            raise OSError("a private address")
        return addresses[0]


def failures() -> tuple[type[Exception], ...]:
    """Return the errors of :meth:`OutboundConnections.request` without an answer.

    Never log their texts, which may quote it.
    """
    import urllib3

    return OSError, UnicodeError, urllib3.exceptions.HTTPError


def checked(url: str, *, private: bool) -> SplitResult:
    """Check an address that a person entered and return its parts; ValueError names the fault.

    Unless ``private`` addresses are allowed, it must be https and not in a private network. Names are resolved and
    checked at each call, since their addresses may change.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("this is not a URL such as `https://example.com/path`") from error
    if not _WRITTEN.fullmatch(url.strip()):
        raise ValueError("write it in ASCII, without blanks; names in other letters as `xn--...`")
    if parts.scheme not in ({"https", "http"} if private else {"https"}):
        raise ValueError("it must begin with `https://`")
    if not host or parts.username or parts.password or parts.fragment:
        raise ValueError("it must name a host, and have no user, password or fragment")
    if not private and is_private_host(host):
        raise ValueError("this deployment does not call private addresses")
    return parts


def _pool(scheme: str, host: str, address: str, port: int) -> urllib3.HTTPConnectionPool:
    import urllib3  # slow to import, and few requests call such an address

    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    if scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, timeout=timeout)
    return urllib3.HTTPSConnectionPool(
        address, port, timeout=timeout, ssl_context=_trust(), server_hostname=host, assert_hostname=host
    )


@cache
def _trust() -> ssl.SSLContext:
    import ssl

    # Not the shared context: urllib3 checks the name itself, and so switches the check of the context off.
    return ssl.create_default_context()
