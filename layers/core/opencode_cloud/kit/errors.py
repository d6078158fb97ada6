"""Errors that a caller may see: each a type with an HTTP status and a stable code. And one that only a queue sees."""

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
    """Seconds after which to try again, for the header ``Retry-After``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = {}
        """Members that the problem document has besides."""


class BadRequest(ServiceError):
    """400: the request is malformed; the message names what and where."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ServiceError):
    """401: no usable credential came with the request."""

    status = HTTPStatus.UNAUTHORIZED


class PaymentRequired(ServiceError):
    """402: a limit on spending is reached; the message says which one, and when it resets."""

    status = HTTPStatus.PAYMENT_REQUIRED


class Forbidden(ServiceError):
    """403: a credential came, and it is not the right one."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ServiceError):
    """404: there is no such thing, or none that the caller may know of."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(ServiceError):
    """405: the address takes other methods."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class Conflict(ServiceError):
    """409: the thing is in a state in which this cannot be done; the message says which."""

    status = HTTPStatus.CONFLICT


class Gone(ServiceError):
    """410: it was here and has been removed for good."""

    status = HTTPStatus.GONE


class PreconditionFailed(ServiceError):
    """412: the document has changed since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED


class PayloadTooLarge(ServiceError):
    """413: the body is over a limit; the message says which."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Unprocessable(ServiceError):
    """422: the request is well-formed, and what it asks for contradicts a rule; the message says which."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class PreconditionRequired(ServiceError):
    """428: the caller must say which version of the document they mean to change."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class TooManyRequests(ServiceError):
    """429: over a rate limit. ``retry_after`` is in seconds; ``headers`` say more to those who read them."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, code: str, message: str, retry_after: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after
        self.headers = dict(headers or {})


class InternalError(ServiceError):
    """500: a defect of ours. The logs tell what happened; the caller gets the id by which to find it there."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


def route_not_found() -> NotFound:
    """Return what programs get where no route matches."""
    return NotFound("route_not_found", "There is no route at this address. Check path and base URL.")


def unexpected(message: str = "Something failed on our side. Try again; the logs name this id.") -> InternalError:
    """Return what every surface answers for an exception that no code of ours foresaw."""
    return InternalError("internal_error", message)


class Unavailable(ServiceError):
    """503: the request was good and could not be served now; trying again is safe."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class Redeliver(Exception):
    """A queue's message is to come again, and no alarm is needed. No caller sees it."""
