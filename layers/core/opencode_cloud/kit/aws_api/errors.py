"""Failures of calls to AWS, and the distinction of temporary from permanent ones."""

from __future__ import annotations

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KMSThrottlingException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes that the AWS SDKs retry in their standard mode ("Retry behavior", AWS SDKs and Tools Reference Guide)."""
OUTDATED = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
"""Codes after which newly read credentials, or the service's time, may help."""
_TEMPORARY_STATUS = frozenset({429, 500, 502, 503, 504})


class AwsError(Exception):
    """A call to AWS failed."""


class AwsUnreachable(AwsError):
    """AWS could not be reached, or did not answer in time. The call may have been executed."""


class AwsRefusal(AwsError):
    """AWS refused a call. ``code`` is the service's, ``status`` that of HTTP."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def is_temporary(error: AwsError) -> bool:
    """Tell whether the same call may succeed soon: AWS was not reached, throttles, or failed internally."""
    if isinstance(error, AwsRefusal):
        return error.status in _TEMPORARY_STATUS or error.code in THROTTLED | OUTDATED
    return isinstance(error, AwsUnreachable)
