"""JSON over HTTP, with the standard library: certificates and proxies are those of the system."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opencode_cloud_connect.errors import ConnectError, ServerRefused
from opencode_cloud_connect.formats.values import as_object

USER_AGENT = "opencode-cloud-connect/0.1.0"
TIMEOUT = 30.0
"""Seconds for one answer."""
_LARGEST = 16 * 1024 * 1024
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Answer:
    """An answer of the server: its status, and its JSON document (None for an empty body)."""

    status: int
    document: Any


class Server:
    """One Opencode Cloud server."""

    def __init__(self, address: str) -> None:
        """Take ``https://<host>``. Raises ``insecure_address`` for plain HTTP to another machine."""
        self.url = address.rstrip("/")
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets that are no IPv6 address, or a port that is no number
            parts, valid = urlsplit(""), False
        if not valid or parts.query or parts.fragment or parts.username:
            raise ConnectError("invalid_address", f"{address} is no address such as https://cloud.example.com.")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConnectError("insecure_address", f"Use https: a key would cross the network in clear to {address}.")
        self._opener = urllib.request.build_opener(_NoRedirects())

    def call(self, method: str, path: str, body: Any = None, *, token: str = "") -> Answer:
        """Send a request and return any answer.

        Raises ``unreachable``, ``answer_too_large`` and ``not_opencode_cloud``.
        """
        sent = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, sent, method=method)  # noqa: S310 - http or https, see __init__
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                status, content = response.status, response.read(_LARGEST + 1)
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read(_LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ConnectError("unreachable", f"{self.url} cannot be reached: {reason}.") from error
        if len(content) > _LARGEST:
            message = f"{self.url}{path} answered with more than {_LARGEST // 2**20} MiB. Tell its operator."
            raise ConnectError("answer_too_large", message)
        try:
            return Answer(status, json.loads(content) if content.strip() else None)
        except ValueError as error:
            raise self._of_another_kind(path, status) from error

    def ask(self, method: str, path: str, body: Any = None, *, token: str) -> dict[str, Any]:
        """Send a request and return the object that it answers. Raises :class:`ServerRefused` for an error."""
        answer = self.call(method, path, body, token=token)
        if answer.status >= 400:
            raise refusal(answer)
        document = as_object(answer.document)
        if not document:
            raise self._of_another_kind(path, answer.status)
        return document

    def _of_another_kind(self, path: str, status: int) -> ConnectError:
        message = f"{self.url}{path} answered {status} without a JSON object: it is no Opencode Cloud server."
        return ConnectError("not_opencode_cloud", message)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would carry the token to another address."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        """Return None, so that the redirect itself is the answer."""
        del arguments, more


def refusal(answer: Answer) -> ServerRefused:
    """Return the error of an answer, in any of the server's forms of errors."""
    document = as_object(answer.document)
    error = document.get("error")
    nested = as_object(error)
    code = document.get("code") or nested.get("code") or (error if isinstance(error, str) else "") or "refused"
    texts = (document.get("detail"), nested.get("message"), document.get("error_description"), document.get("message"))
    message = next((text for text in texts if text), f"The server answered {answer.status}.")
    return ServerRefused(answer.status, str(code), str(message))
