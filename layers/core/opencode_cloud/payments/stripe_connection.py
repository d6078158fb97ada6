"""The connection to Stripe through its library: key, client, idempotency keys, and errors in our types."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import stripe

from opencode_cloud.kit.log import logger
from opencode_cloud.payments.models import StripeRefused, payments_off, stripe_away
from opencode_cloud.payments.stripe_objects import id_of

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API, for answers. An endpoint has its own for events, whose contents are not read."""
CONNECT_SECONDS = 3
ANSWER_SECONDS = 8
"""The library waits 80 s by itself, longer than an HTTP API does."""
RETRIES = 2
"""Repetitions of a request that got no answer. The library sends the same idempotency key again."""
UNSET = "{}"
"""The secret of a new deployment."""
DEFINITE_ANSWERS = frozenset({400, 402, 404})
"""Statuses of a definite answer: the same request would get it again. A new key of the operator ends 401 and 403."""
SECRET_SECONDS = 60
"""Shortest time between two reads of the secret, so that unsigned requests do not cause one each."""

stripe.enable_telemetry = False

Answer = TypeVar("Answer")


class StripeSecret(msgspec.Struct):
    """The operator's secret, stored as JSON."""

    api_key: str
    webhook_secrets: tuple[str, ...]
    """All that are valid: two during a rotation."""


class StripeConnection:
    """Sends requests to Stripe. Every write that makes or pays something has an idempotency key of our own."""

    def __init__(self, url: str, secret: Callable[[], str], forget_secret: Callable[[], None]) -> None:
        """Speak to the API at ``url``.

        Args:
            url: The origin of the API.
            secret: Returns the secret as stored, JSON; empty while the operator has not set it.
            forget_secret: Drops the cached secret: the operator may have changed it.
        """
        self._url = url
        self._secret = secret
        self._forget_secret = forget_secret
        self._forgotten_at = -math.inf
        self._built: tuple[str, stripe.StripeClient] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the operator has set the secret."""
        return self._secret() not in ("", UNSET)

    def check(self) -> None:
        """Raise ``payments_off`` (404) unless the operator has set the secret."""
        if not self.is_ready:
            raise payments_off()

    def secret(self) -> StripeSecret:
        """Return the operator's secret; raises ``payments_off`` (404) before it is set."""
        self.check()
        return msgspec.json.decode(self._secret(), type=StripeSecret)

    def forget(self) -> bool:
        """Drop the cached secret unless that was done within the last minute; return whether it was dropped."""
        if time.monotonic() < self._forgotten_at + SECRET_SECONDS:
            return False
        self._forgotten_at = time.monotonic()
        self._forget_secret()
        return True

    @property
    def client(self) -> stripe.StripeClient:
        """The library's client."""
        key = self.secret().api_key
        if self._built is None or self._built[0] != key:
            client = stripe.StripeClient(
                key,
                stripe_version=API_VERSION,
                base_addresses={"api": self._url},
                max_network_retries=RETRIES,
                http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, ANSWER_SECONDS)),
            )
            self._built = (key, client)
        return self._built[1]

    def write(self, method: Callable[[Any, Any], Answer], params: Any, *, key: str) -> Answer:
        """Send a write under an idempotency key; raises as :meth:`ask` does."""
        return self.ask(lambda: method(params, {"idempotency_key": key}))

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Send a request.

        Raises:
            StripeRefused: The same request would be refused again.
            stripe_unavailable: (503) The result is unknown.
        """
        try:
            return request()
        except stripe.StripeError as error:
            if isinstance(error, stripe.AuthenticationError):
                self.forget()
            if error.http_status in DEFINITE_ANSWERS and not isinstance(error, stripe.IdempotencyError):
                raise _refusal(error) from error
            logger.warning("Stripe gave no result", extra={"status": error.http_status, "code": error.code})
            raise stripe_away() from error


def _refusal(error: stripe.StripeError) -> StripeRefused:
    details: Any = getattr(error, "error", None)
    decline, intent = getattr(details, "decline_code", None), getattr(details, "payment_intent", None)
    return StripeRefused(str(error.code or type(error).__name__), str(decline or ""), id_of(intent))
