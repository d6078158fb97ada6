"""A client of DynamoDB for threads: one round trip a call, a tenth of boto3's processor time.

The methods have boto3's names and parameters (``TableName``, ``Key``, ...), which are the API reference's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from opencode_cloud.kit.aws_api.connections import Connections
from opencode_cloud.kit.aws_api.endpoints import read_seconds
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.dynamodb.protocol import (
    BACKOFF,
    CONNECT_SECONDS,
    READ_SECONDS,
    DynamoDBProtocol,
    Passing,
    exhausted,
    url,
)
from opencode_cloud.kit.retry import retry


class DynamoDB:
    """A client for any number of threads."""

    def __init__(self) -> None:
        """Take region, credentials and endpoint from the environment."""
        limit = read_seconds(READ_SECONDS)
        self._connections = Connections(url(), connect_seconds=CONNECT_SECONDS, read_seconds=limit)
        self._protocol = DynamoDBProtocol(self._connections.host)

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Execute ``operation`` (``GetItem``, ``TransactWriteItems``, ...) and return its answer.

        Throttling, conflicts of transactions and network failures are retried (``protocol.BACKOFF``). So a write may
        have been executed although an attempt failed: make it idempotent by its condition or by a
        ``ClientRequestToken``.

        Raises:
            ConditionFailed: The condition of a single write does not hold.
            TransactionRefused: A transaction was cancelled for a permanent reason.
            DynamoDBError: Any other permanent refusal.
            Contended: The last attempt met other transactions (503).
            Unavailable: ``store_unavailable`` (503); all attempts failed.
        """
        body = msgspec.json.encode(request)
        try:
            return retry(lambda: self._attempt(operation, body), BACKOFF, Passing)
        except Passing as error:
            raise exhausted(operation, error) from error

    def _attempt(self, operation: str, body: bytes) -> dict[str, Any]:
        try:
            status, text, date = self._send(operation, body)
        except AwsUnreachable as error:
            raise Passing(str(error), contended=False) from error
        return self._protocol.answer(status, text, date)

    def _send(self, operation: str, body: bytes) -> tuple[int, bytes, str]:
        head = self._protocol.signer(operation).head("POST", "/", body)
        answer = self._connections.exchange("POST", head, body)
        return answer.status, answer.body, answer.headers.get("date", "")

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Read a row."""
        return self.call("GetItem", request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Write a row."""
        return self.call("PutItem", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change a row."""
        return self.call("UpdateItem", request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete a row."""
        return self.call("DeleteItem", request)

    def query(self, **request: Any) -> dict[str, Any]:
        """Read one page of the rows of a partition."""
        return self.call("Query", request)

    def pages(self, **request: Any) -> Iterator[dict[str, Any]]:
        """Yield all pages of :meth:`query`."""
        start: Any = {}
        while True:
            page = self.query(**request, **start)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
