"""The exceptions of this package: one family, so that `except OpencodeCloudError` catches all of it.

OpencodeCloudError
├── ConnectionLost        network or server were unreachable for longer than the back-off allows
├── ProtocolError         the server's answer is not in the protocol (docs/protocol.md)
└── RequestRefused        the server refused the request
    ├── InvalidRequest    400: the request is malformed
    ├── Unauthorized      401: no credentials, or wrong ones
    ├── Forbidden         403: the secret is not the share's
    ├── ShareNotFound     404: no such share or item
    ├── ShareGone         410: removed or expired; the id is never used again
    ├── TooLarge          413: the batch is over the server's limit
    ├── RateLimited       429: try again later
    └── ServerFailure     5xx: an error of the server; try again
"""

from __future__ import annotations


class OpencodeCloudError(Exception):
    """Base of all exceptions of this package."""


class ConnectionLost(OpencodeCloudError):
    """The server could not be reached or stopped answering, and the permitted attempts are used up."""


class ProtocolError(OpencodeCloudError):
    """The server sent something that is not in the protocol."""


class RequestRefused(OpencodeCloudError):
    """The server answered with an error.

    `code` is the stable code to branch on, `message` is for people, `correlation_id` finds the request in the
    server's logs.
    """

    transient = False
    """Tell whether the same request may succeed later."""

    def __init__(self, code: str, message: str, correlation_id: str | None = None) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.message = message
        self.correlation_id = correlation_id


class InvalidRequest(RequestRefused):
    """400: the request is malformed."""


class Unauthorized(RequestRefused):
    """401: no credentials, or wrong ones."""


class Forbidden(RequestRefused):
    """403: the secret is not the share's."""


class ShareNotFound(RequestRefused):
    """404: no such share or item."""


class ShareGone(RequestRefused):
    """410: the share was removed or has expired. Its id is never used again."""


class TooLarge(RequestRefused):
    """413: the batch is over the server's limit; send it in parts."""


class RateLimited(RequestRefused):
    """429: too many requests."""

    transient = True


class ServerFailure(RequestRefused):
    """5xx: an error of the server."""

    transient = True


_BY_STATUS: dict[int, type[RequestRefused]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: ShareNotFound,
    410: ShareGone,
    413: TooLarge,
    429: RateLimited,
}

_BY_CODE: dict[str, type[RequestRefused]] = {
    "invalid_body": InvalidRequest,
    "invalid_item": InvalidRequest,
    "invalid_message": InvalidRequest,
    "missing_share": InvalidRequest,
    "unknown_action": InvalidRequest,
    "missing_secret": Unauthorized,
    "wrong_secret": Forbidden,
    "share_not_found": ShareNotFound,
    "share_gone": ShareGone,
}
"""Exceptions for error frames without a status. An unknown code counts as an error of the server."""


def refusal(code: str, message: str, *, status: int = 0, correlation_id: str | None = None) -> RequestRefused:
    """Return the exception for an error answer, by `status` (as in HTTP), else by `code`."""
    kind = _BY_STATUS.get(status) or _BY_CODE.get(code, ServerFailure)
    if kind is ServerFailure and 400 <= status < 500:
        kind = InvalidRequest
    return kind(code, message, correlation_id)
