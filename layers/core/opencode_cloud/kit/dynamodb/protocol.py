"""DynamoDB's JSON protocol without I/O: both clients send its requests and read its answers.

Values are in DynamoDB's own form (``{"S": ...}``), as in all stores. Binary values are bytes in requests, and base64
in answers (``codec.binary`` decodes them).
"""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import endpoint, region
from opencode_cloud.kit.aws_api.errors import OUTDATED
from opencode_cloud.kit.aws_api.signing import Signer, Signers
from opencode_cloud.kit.dynamodb.errors import (
    TransactionRefused,
    contended,
    passing,
    refusal,
    store_unavailable,
)
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff

CONNECT_SECONDS = 2
READ_SECONDS = 5
BACKOFF = Backoff(first=0.05, longest=0.4, attempts=5)
"""Bounds of retries of temporary failures. The pauses add up to 0.75 s at most."""
CONTENT_TYPE = "application/x-amz-json-1.0"
_TARGET = "DynamoDB_20120810."


class Passing(Exception):
    """An attempt failed temporarily; ``contended`` when other transactions were the cause."""

    def __init__(self, reason: str, *, contended: bool) -> None:
        super().__init__(reason)
        self.contended = contended


class DynamoDBProtocol:
    """Signs requests, and tells answers from temporary and permanent failures."""

    def __init__(self, host: str) -> None:
        self._signers = Signers(credential_source(), region(), "dynamodb", host)

    def signer(self, operation: str) -> Signer:
        """Return the signer of requests for ``operation``."""
        return self._signers.signer(operation, {"content-type": CONTENT_TYPE, "x-amz-target": _TARGET + operation})

    def answer(self, status: int, text: bytes, date: str) -> dict[str, Any]:
        """Return the answer in a response, which had the header ``date``.

        Raises:
            Passing: The same call may succeed soon.
            DynamoDBError: A permanent refusal.
        """
        try:
            answer: dict[str, Any] = msgspec.json.decode(text) if text else {}
        except msgspec.DecodeError:
            status, answer = 503, {}
        if status == 200:
            return answer
        error = refusal(answer)
        if error.code in OUTDATED:
            self._signers.renew(date)
        elif not passing(status, error):
            raise error
        raise Passing(str(error), contended=isinstance(error, TransactionRefused)) from error


def url() -> str:
    """Return the address of all operations."""
    return endpoint("dynamodb") + "/"


def exhausted(operation: str, error: Passing) -> Unavailable:
    """Return the error for a call whose last attempt failed with ``error``."""
    if error.contended:
        return contended()
    logger.warning("DynamoDB did not take a call", extra={"operation": operation, "reason": str(error)})
    return store_unavailable()
