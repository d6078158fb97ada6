"""Asking a provider whether it knows a key."""

from __future__ import annotations

import socket
import ssl
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
import urllib3

from opencode_cloud.keys.endpoints import is_private, models_request
from opencode_cloud.keys.models import CheckResult, Provider
from opencode_cloud.kit.log import logger

TIMEOUT = urllib3.Timeout(connect=4, read=10)
LONGEST_ANSWER = 8 * 1024 * 1024
"""Bytes; the longest lists of models are about one."""


class ProviderClient:
    """Calls providers, and nothing else: names are resolved once, and the address that was looked at is called."""

    def __init__(self, *, private: bool) -> None:
        """``private``: whether addresses of private networks may be called."""
        self._private = private

    def check(self, provider: Provider, base_url: str | None, secret: str) -> CheckResult:
        """List the provider's models with ``secret``, and return what came of it."""
        url, headers = models_request(provider, base_url, secret)
        try:
            status, body = self._get(urlsplit(url), headers)
        except (OSError, UnicodeError, urllib3.exceptions.HTTPError) as error:
            # Not the error's text: it may quote headers.
            logger.info("provider unreachable", extra={"provider": provider, "reason": type(error).__name__})
            return CheckResult.UNREACHABLE
        return _result(provider, status, body)

    def _get(self, url: SplitResult, headers: dict[str, str]) -> tuple[int, bytes]:
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        pool = self._pool(url.scheme, host, self._address(host, port), port)
        answer: Any = pool.urlopen(
            "GET",
            f"{url.path}?{url.query}" if url.query else url.path,
            headers={**headers, "host": url.netloc, "accept": "application/json", "user-agent": "opencode-cloud"},
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return answer.status, answer.read(LONGEST_ANSWER, decode_content=True)
        finally:
            answer.close()
            pool.close()

    def _address(self, host: str, port: int) -> str:
        """Resolve a name; raises :class:`OSError` when one of its addresses may not be called."""
        addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if not self._private and any(is_private(address) for address in addresses):
            raise OSError("a private address")
        return addresses[0]

    def _pool(self, scheme: str, host: str, address: str, port: int) -> urllib3.HTTPConnectionPool:
        if scheme == "http":
            return urllib3.HTTPConnectionPool(address, port, timeout=TIMEOUT)
        return urllib3.HTTPSConnectionPool(
            address, port, timeout=TIMEOUT, ssl_context=_trust(), server_hostname=host, assert_hostname=host
        )


class _Models(msgspec.Struct):
    """A list of models: ``data`` at most providers, ``models`` at Google."""

    data: list[msgspec.Raw] | None = None
    models: list[msgspec.Raw] | None = None


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _result(provider: Provider, status: int, body: bytes) -> CheckResult:
    match status:
        case HTTPStatus.OK:
            return CheckResult.WORKS if _lists_models(body) else CheckResult.UNEXPECTED
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return CheckResult.REFUSED
        case HTTPStatus.BAD_REQUEST if provider is Provider.GOOGLE:
            return CheckResult.REFUSED  # how Google answers a key that it does not know
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.PAYMENT_REQUIRED:
            return CheckResult.LIMITED
        case _:
            return CheckResult.UNEXPECTED


def _lists_models(body: bytes) -> bool:
    try:
        answer = msgspec.json.decode(body, type=_Models)
    except msgspec.DecodeError:
        return False
    return answer.data is not None or answer.models is not None
