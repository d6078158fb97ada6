"""Errors that callers see, with HTTP status and stable code; and :class:`Redeliver`, which only queues see."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ServiceError(Exception):
    """An error with a stable code, an HTTP status and a sentence that says what to do.

    Subclasses fix the status; the code names the case and never changes once released.
    The message must not contain a session id, secret, token or key.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    retry_after: int | None = None
    """Seconds after which to retry, for the header ``Retry-After``."""

    def __init__(self, code: str, sentence: str, values: Mapping[str, str] | None = None) -> None:
        """``values`` replace the placeholders ``%(name)s`` of the sentence, so that pages can translate it."""
        self.message = sentence % values if values else sentence
        super().__init__(self.message)
        self.code = code
        self.sentence = sentence
        self.values = values or {}
        self.details: Mapping[str, Any] = {}
        """Additional members of the problem document."""


class BadRequest(ServiceError):
    """400: the request is malformed; the message names what and where."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ServiceError):
    """401: the request has no valid credential."""

    status = HTTPStatus.UNAUTHORIZED


class PaymentRequired(ServiceError):
    """402: a limit on spending is reached; the message says which one, and when it resets."""

    status = HTTPStatus.PAYMENT_REQUIRED


class Forbidden(ServiceError):
    """403: the request is not permitted with its credential."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ServiceError):
    """404: the resource does not exist, or the caller may not know of it."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(ServiceError):
    """405: the resource supports other methods."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class Conflict(ServiceError):
    """409: the state of the resource does not allow the request; the message names the state."""

    status = HTTPStatus.CONFLICT


class Gone(ServiceError):
    """410: the resource has been removed for good."""

    status = HTTPStatus.GONE


class PreconditionFailed(ServiceError):
    """412: the document has changed since the caller read it. ``etag`` is its tag now; empty: not known."""

    status = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, code: str, message: str, etag: str = "") -> None:
        super().__init__(code, message)
        self.etag = etag


class PayloadTooLarge(ServiceError):
    """413: the body exceeds a limit; the message says which."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(ServiceError):
    """415: the body is of a type that the route does not take; the message says which it takes."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(ServiceError):
    """422: the request is well-formed but violates a rule; the message says which."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class PreconditionRequired(ServiceError):
    """428: the caller must name the version of the document to change."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class TooManyRequests(ServiceError):
    """429: a rate limit is exceeded. ``retry_after`` is in seconds; ``headers`` give details."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, code: str, message: str, retry_after: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after
        self.headers = dict(headers or {})


class InternalError(ServiceError):
    """500: a defect in our code. The caller gets the id of the log entries."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


def route_not_found() -> NotFound:
    """Return the error for programs when no route matches."""
    return NotFound("route_not_found", "There is no route at this address. Check path and base URL.")


def unexpected(message: str = "Something failed on our side. Try again; the logs name this id.") -> InternalError:
    """Return the error for an unhandled exception."""
    return InternalError("internal_error", message)


class Unavailable(ServiceError):
    """503: the request is valid but cannot be served now; a retry is safe."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class Redeliver(Exception):
    """A queue must deliver a message again, without an alarm. No caller sees it."""
