"""The exceptions of this package: one family, so that `except OpencodeCloudError` catches all of it.

OpencodeCloudError
├── ConnectionLost        the network or the server stayed away for longer than the back-off allows
├── ProtocolError         the server said something that docs/protocol.md does not know
└── RequestRefused        the server answered, and the answer is no
    ├── InvalidRequest    400: the request is malformed
    ├── Unauthorized      401: no credentials, or wrong ones
    ├── Forbidden         403: the secret is not the share's
    ├── ShareNotFound     404: no such share or item
    ├── ShareGone         410: unshared or expired; it will not come back under this id
    ├── TooLarge          413: the batch is over the server's limit
    ├── RateLimited       429: try again later
    └── ServerFailure     5xx: the server's own fault; trying again is right
"""

from __future__ import annotations


class OpencodeCloudError(Exception):
    """Base of everything this package raises on purpose."""


class ConnectionLost(OpencodeCloudError):
    """The server could not be reached, or fell silent, and the permitted attempts are used up."""


class ProtocolError(OpencodeCloudError):
    """The server sent something that is not in the protocol."""


class RequestRefused(OpencodeCloudError):
    """The server answered with an error.

    `code` is the stable code to branch on, `message` is for people, `correlation_id` finds the request in the
    server's logs.
    """

    transient = False
    """Whether the same request may succeed later."""

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
    """410: unshared or expired; the id will not come back."""


class TooLarge(RequestRefused):
    """413: the batch is over the server's limit; send it in parts."""


class RateLimited(RequestRefused):
    """429: too many requests."""

    transient = True


class ServerFailure(RequestRefused):
    """5xx: the server's own fault."""

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
"""For error frames without a status; codes are an open set, so an unknown one counts as the server's fault."""


def refusal(code: str, message: str, *, status: int = 0, correlation_id: str | None = None) -> RequestRefused:
    """The exception for an error answer: by `status` (as in HTTP) where there is one, else by `code`."""
    kind = _BY_STATUS.get(status) or _BY_CODE.get(code, ServerFailure)
    if kind is ServerFailure and 400 <= status < 500:
        kind = InvalidRequest
    return kind(code, message, correlation_id)
