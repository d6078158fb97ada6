"""Ask a provider whether it accepts a key."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from opencode_cloud.keys.endpoints import models_request
from opencode_cloud.keys.models import CheckResult, Provider
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.outbound_http import OutboundConnections, failures

LONGEST_ANSWER = 8 * 1024 * 1024
"""Largest accepted answer, in bytes. The longest lists of models take about 1 MiB."""


class ProviderClient:
    """Calls the APIs of model providers."""

    def __init__(self, *, private: bool) -> None:
        """``private`` allows calls to addresses of private networks."""
        self._connections = OutboundConnections(private=private)

    def check(self, provider: Provider, base_url: str | None, secret: str) -> CheckResult:
        """List the provider's models with ``secret`` and return the result."""
        url, headers = models_request(provider, base_url, secret)
        try:
            accepted = {**headers, "accept": "application/json"}
            status, body = self._connections.request("GET", url, accepted, longest=LONGEST_ANSWER)
        except failures() as error:
            # The error's text is left out: it may quote headers, and so the key.
            logger.info("provider unreachable", extra={"provider": provider, "reason": type(error).__name__})
            return CheckResult.UNREACHABLE
        return _result(provider, status, body)


class _Models(msgspec.Struct):
    """A list of models, in ``data`` at most providers, in ``models`` at Google."""

    data: list[msgspec.Raw] | None = None
    models: list[msgspec.Raw] | None = None


def _result(provider: Provider, status: int, body: bytes) -> CheckResult:
    match status:
        case HTTPStatus.OK:
            return CheckResult.WORKS if _lists_models(body) else CheckResult.UNEXPECTED
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return CheckResult.REFUSED
        case HTTPStatus.BAD_REQUEST if provider is Provider.GOOGLE:
            return CheckResult.REFUSED  # Google's answer to an unknown key
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
