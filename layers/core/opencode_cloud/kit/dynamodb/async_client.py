"""A client of DynamoDB for the event loop of the gateway, where hundreds of calls wait on streams for minutes.

Through boto3 each call would take a thread and over a millisecond of CPU time, twice before the first byte of every
model call. This client sends over kept connections of its own and takes a tenth of that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import read_seconds
from opencode_cloud.kit.dynamodb import protocol
from opencode_cloud.kit.dynamodb.protocol import CONNECT_SECONDS, READ_SECONDS, DynamoDBProtocol, Passing, exhausted
from opencode_cloud.kit.retry import retry_async

if TYPE_CHECKING:
    # Imported on first use: asyncio takes 20 ms, and functions with SQL import stores but never call this.
    from opencode_cloud.kit.aws_api.async_connections import AsyncConnections


class AsyncDynamoDB:
    """A client for one event loop; :meth:`close` ends its connections."""

    def __init__(self, *, connections: int = 100) -> None:
        """Take region, credentials and endpoint from the environment."""
        self._url = protocol.url()
        self._protocol = DynamoDBProtocol(urlsplit(self._url).netloc)
        self._credentials = credential_source()
        self._most = connections
        self._connections: AsyncConnections | None = None

    async def close(self) -> None:
        """End all connections."""
        if self._connections is not None:
            self._connections.close()
            self._connections = None

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
        if not self._credentials.is_current:
            from asyncio import to_thread  # stores import this module in functions without an event loop

            await to_thread(self._credentials.get)  # an endpoint that is slow must not hold up the event loop
        head = self._protocol.signer(operation).head("POST", "/", body)
        try:
            answer = await self._exchanges().exchange(head, body)
        except OSError as error:
            raise ConnectionError(type(error).__name__) from error
        return answer.status, answer.body, answer.headers.get("date", "")

    def _exchanges(self) -> AsyncConnections:
        if self._connections is None:
            from opencode_cloud.kit.aws_api.async_connections import AsyncConnections

            self._connections = AsyncConnections(
                self._url, connect_seconds=CONNECT_SECONDS, read_seconds=read_seconds(READ_SECONDS), most=self._most
            )
        return self._connections
