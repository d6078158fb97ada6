"""DynamoDB from an event loop, for the gateway: its calls wait on streams for minutes, by the hundred.

Through boto3 each call would take a thread and over a millisecond of processor time, twice before the first byte of
every model call. This client speaks DynamoDB's JSON protocol over kept connections of aiohttp, signed by the signer
that fan-out uses: a tenth of that. Values are in DynamoDB's own form (``{"S": ...}``), as everywhere in our stores.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from boto3.session import Session

from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.signing import Signer

if TYPE_CHECKING:
    import aiohttp  # in a process only when it calls: it takes 0.3 s, and functions with SQL import stores, not this

Item = dict[str, Any]
CONNECT_SECONDS = 2
READ_SECONDS = 5
ATTEMPTS = 5
BACK_OFF_SECONDS = 0.025
CONTENT_TYPE = "application/x-amz-json-1.0"
_TARGET = "DynamoDB_20120810."
_PASSING = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
_PASSING_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_SIGNING_SECONDS = 60  # a signature is valid for 15 minutes; its parts that only depend on time are kept for one


class DynamoDBError(Exception):
    """DynamoDB refused a call; ``code`` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ConditionFailed(DynamoDBError):
    """The condition of a single write did not hold; ``item`` is the row as it was, if it was asked for."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("ConditionalCheckFailedException", "the condition did not hold")
        self.item = item


class TransactionRefused(DynamoDBError):
    """Conditions of a transaction did not hold; nothing was written."""

    def __init__(self, reasons: Sequence[tuple[str, Item | None]]) -> None:
        super().__init__("TransactionCanceledException", ", ".join(code for code, _ in reasons))
        self.reasons = reasons
        """One for each action, in order: its code (``None`` when it was fine), and the row as it was, if asked for."""


class Contended(Unavailable):
    """503: other transactions were in the way of this one each time; nothing was written, and it may be tried on."""


class DynamoDB:
    """A client of one event loop; :meth:`close` ends its connections."""

    def __init__(self, *, connections: int = 100) -> None:
        """Take region, credentials and endpoint from the environment, as boto3 does."""
        self._session = Session()
        self._region: str = self._session.region_name or "us-east-1"
        endpoint = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
        self._url = (endpoint or f"https://dynamodb.{self._region}.amazonaws.com").rstrip("/") + "/"
        self._host = urlsplit(self._url).netloc
        self._connections = connections
        self._http: aiohttp.ClientSession | None = None
        self._signers: dict[str, Signer] = {}
        self._signers_until = 0.0

    async def close(self) -> None:
        """End all connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out ``operation`` (``GetItem``, ``TransactWriteItems``, ...) and return its answer.

        Throttling, conflicts of transactions and failures on the way are tried again with growing, random pauses. So a
        write may have been carried out before it is refused: make it idempotent by its condition or by a
        ``ClientRequestToken``. Raises :class:`ConditionFailed`, :class:`TransactionRefused`, :class:`DynamoDBError`,
        :class:`Contended`, or ``store_unavailable`` (503) when DynamoDB did not take the call in the end.
        """
        body = msgspec.json.encode(request)
        reason, contended = "", False
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(random.uniform(0.5, 1) * BACK_OFF_SECONDS * 2**attempt)  # noqa: S311 - jitter
            try:
                status, answer = await self._send(operation, body)
            except ConnectionError as error:
                reason, contended = str(error), False
                continue
            if status == 200:
                return answer
            error = refusal(status, answer)
            if not passing(error):
                raise error
            reason, contended = str(error), isinstance(error, TransactionRefused)
        if contended:
            raise Contended("store_contended", "Too much happens to the same rows at once. Try again.", retry_after=1)
        logger.warning("DynamoDB did not take a call", extra={"operation": operation, "reason": reason})
        raise Unavailable("store_unavailable", "The store cannot be reached now. Try again.", retry_after=1)

    async def _send(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and answer. Raises ConnectionError, which names what went wrong on the way."""
        import aiohttp

        headers = self._signer(operation).headers("POST", "/", body) | {"content-type": CONTENT_TYPE}
        try:
            async with self._client().post(self._url, data=body, headers=headers) as response:
                text = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(type(error).__name__) from error
        try:
            return response.status, msgspec.json.decode(text) if text else {}
        except msgspec.DecodeError:
            return 503, {"__type": "ServiceUnavailable"}

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            )
        return self._http

    def _signer(self, operation: str) -> Signer:
        now = time.time()
        if now >= self._signers_until:
            self._signers, self._signers_until = {}, now + _SIGNING_SECONDS
        signer = self._signers.get(operation)
        if signer is None:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise RuntimeError("there are no AWS credentials to sign with")
            frozen = credentials.get_frozen_credentials()
            signed = {"x-amz-target": _TARGET + operation}
            signer = self._signers[operation] = Signer(frozen, self._region, "dynamodb", self._host, now, signed)
        return signer


def refusal(status: int, answer: Mapping[str, Any]) -> DynamoDBError:
    """Return what DynamoDB answered as an error of ours."""
    code = str(answer.get("__type", "")).rpartition("#")[2] or ("InternalServerError" if status >= 500 else "Unknown")
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(answer.get("Item"))
    if code == "TransactionCanceledException":
        reasons: list[dict[str, Any]] = answer.get("CancellationReasons") or []
        return TransactionRefused([(str(reason.get("Code", "None")), reason.get("Item")) for reason in reasons])
    return DynamoDBError(code, str(answer.get("message") or answer.get("Message") or ""))


def passing(error: DynamoDBError) -> bool:
    """Tell whether the same call may succeed in a moment: no condition failed, something was only busy."""
    if isinstance(error, TransactionRefused):
        codes = {code for code, _ in error.reasons} - {"None"}
        return bool(codes) and codes <= _PASSING_REASONS
    return error.code in _PASSING
