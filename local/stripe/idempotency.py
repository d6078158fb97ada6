"""Answers by idempotency key, by the rules of Stripe's API v1 (https://docs.stripe.com/api/idempotent_requests).

The first answer is kept once the execution has begun, also a failure. Parameters that are refused leave nothing.
"""

from dataclasses import dataclass, field
from typing import Any

from local.stripe.errors import ParametersRefused, StripeError

KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers of one answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Record:
    request: tuple[str, str, str]
    request_id: str
    answer: Answer | None = None


class KnownAnswers:
    """The keys of one account."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def begin(self, key: str, request: tuple[str, str, str], request_id: str) -> Answer | None:
        """Return the kept answer of this key, or None after marking the key as running.

        Args:
            key: The idempotency key.
            request: Method, path and canonical parameters.
            request_id: The id that a replayed answer names as its original.

        Raises:
            StripeError: The key belongs to another request (400), or that request still runs (409).
        """
        if len(key) > KEY_LENGTH:
            raise ParametersRefused(400, "invalid_request_error", f"Idempotency keys have at most {KEY_LENGTH} signs.")
        record = self._records.get(key)
        if record is None:
            self._records[key] = _Record(request, request_id)
            return None
        if record.request != request:
            message = "Keys for idempotent requests can only be used with the same parameters and path."
            raise StripeError(400, "idempotency_error", f"{message} Use another key than '{key}'.")
        if record.answer is None:
            message = f"A request with the idempotency key '{key}' is still running."
            raise StripeError(409, "idempotency_error", message, code="idempotency_key_in_use")
        replayed = {"Idempotent-Replayed": "true", "Original-Request": record.request_id}
        return Answer(record.answer.status, record.answer.body, record.answer.headers | replayed)

    def keep(self, key: str, answer: Answer) -> None:
        """Keep the answer of a request that has run."""
        self._records[key].answer = answer

    def drop(self, key: str) -> None:
        """Forget a request whose parameters were refused."""
        self._records.pop(key, None)

    def forget_all(self) -> None:
        """Forget every key that is not running, as Stripe may after 24 hours."""
        self._records = {key: record for key, record in self._records.items() if record.answer is None}
