"""A client of DynamoDB for the event loop of the gateway, where hundreds of calls wait on streams for minutes.

Through boto3 each call would take a thread and over a millisecond of CPU time, twice before the first byte of every
model call. This client sends over kept connections of aiohttp and takes a tenth of that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.dynamodb import protocol
from opencode_cloud.kit.dynamodb.protocol import CONNECT_SECONDS, READ_SECONDS, DynamoDBProtocol, Passing, exhausted
from opencode_cloud.kit.retry import retry_async

if TYPE_CHECKING:
    import aiohttp  # imported on first use: it takes 0.1 s, and functions with SQL import stores but never call this


class AsyncDynamoDB:
    """A client for one event loop; :meth:`close` ends its connections."""

    def __init__(self, *, connections: int = 100) -> None:
        """Take region, credentials and endpoint from the environment."""
        self._url = protocol.url()
        self._protocol = DynamoDBProtocol(urlsplit(self._url).netloc)
        self._credentials = credential_source()
        self._connections = connections
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End all connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do the same as :meth:`DynamoDB.call` on the event loop."""
        body = msgspec.json.encode(request)
        try:
            return await retry_async(lambda: self._attempt(operation, body), protocol.BACKOFF, Passing)
        except Passing as error:
            raise exhausted(operation, error) from error

    async def _attempt(self, operation: str, body: bytes) -> dict[str, Any]:
        try:
            status, text, date = await self._send(operation, body)
        except ConnectionError as error:
            raise Passing(str(error), contended=False) from error
        return self._protocol.answer(status, text, date)

    async def _send(self, operation: str, body: bytes) -> tuple[int, bytes, str]:
        """Return status, text and date of the answer. Raises ConnectionError, which names the network failure."""
        from opencode_cloud.kit.async_http import aiohttp

        if not self._credentials.is_current:
            from asyncio import to_thread  # stores import this module in functions without an event loop

            await to_thread(self._credentials.get)  # an endpoint that is slow must not hold up the event loop
        headers = self._protocol.signer(operation).headers("POST", "/", body)
        try:
            async with self._client().post(self._url, data=body, headers=headers) as response:
                return response.status, await response.read(), response.headers.get("date", "")
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(type(error).__name__) from error

    def _client(self) -> aiohttp.ClientSession:
        from opencode_cloud.kit.async_http import aiohttp
        from opencode_cloud.kit.tls import trusting

        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60, ssl=trusting()),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            )
        return self._http
