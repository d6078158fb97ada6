"""A client of DynamoDB for the event loop of the gateway, where hundreds of calls wait on streams for minutes.

Through boto3 each call would take a thread and over a millisecond of CPU time, twice before the first byte of every
model call. This client sends DynamoDB's JSON protocol over kept connections of aiohttp, signed by the signer of
fan-out, and takes a tenth of that time. Values are in DynamoDB's own form (``{"S": ...}``), as in all stores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from boto3.session import Session

from opencode_cloud.kit.dynamodb.errors import TransactionRefused, contended, passing, refusal, store_unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff, retry_async
from opencode_cloud.kit.signing import Signer

if TYPE_CHECKING:
    import aiohttp  # imported on first use: it takes 0.3 s, and functions with SQL import stores but never call this

CONNECT_SECONDS = 2
READ_SECONDS = 5
BACKOFF = Backoff(first=0.05, longest=0.4, attempts=5)
"""Bounds of retries of temporary failures. The pauses add up to 0.75 s at most."""
CONTENT_TYPE = "application/x-amz-json-1.0"
_TARGET = "DynamoDB_20120810."
_SIGNING_SECONDS = 60  # a signature is valid for 15 minutes; its time-dependent parts are cached for one minute


class _Passing(Exception):
    """An attempt failed temporarily; ``contended`` when other transactions were the cause."""

    def __init__(self, reason: str, *, contended: bool) -> None:
        super().__init__(reason)
        self.contended = contended


class DynamoDB:
    """A client for one event loop; :meth:`close` ends its connections."""

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
        """Execute ``operation`` (``GetItem``, ``TransactWriteItems``, ...) and return its answer.

        Throttling, conflicts of transactions and network failures are retried (:data:`BACKOFF`). So a write may have
        been executed although an attempt failed: make it idempotent by its condition or by a ``ClientRequestToken``.

        Raises:
            ConditionFailed: The condition of a single write does not hold.
            TransactionRefused: A transaction was cancelled for a permanent reason.
            DynamoDBError: Any other permanent refusal.
            Contended: The last attempt met other transactions (503).
            Unavailable: ``store_unavailable`` (503); all attempts failed.
        """
        body = msgspec.json.encode(request)
        try:
            return await retry_async(lambda: self._attempt(operation, body), BACKOFF, _Passing)
        except _Passing as error:
            if error.contended:
                raise contended() from error
            logger.warning("DynamoDB did not take a call", extra={"operation": operation, "reason": str(error)})
            raise store_unavailable() from error

    async def _attempt(self, operation: str, body: bytes) -> dict[str, Any]:
        try:
            status, answer = await self._send(operation, body)
        except ConnectionError as error:
            raise _Passing(str(error), contended=False) from error
        if status == 200:
            return answer
        error = refusal(status, answer)
        if not passing(error):
            raise error
        raise _Passing(str(error), contended=isinstance(error, TransactionRefused)) from error

    async def _send(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and answer. Raises ConnectionError, which names the network failure."""
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
