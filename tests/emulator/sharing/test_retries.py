"""DynamoDB's answers besides success: conflicts of transactions, and unprocessed parts of a batch."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import aws
from tests.emulator.sharing.plane import Environment
from tests.integration.publisher import part


class Interference:
    """Answers requests in place of DynamoDB, each answer once. Further requests pass through."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, dict[str, Any]]] = deque()
        self.requests = 0

    def conflict(self, reason: str, times: int = 1) -> None:
        """Cancel transactions with a reason."""
        body = {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "cancelled",
            "CancellationReasons": [{"Code": reason}, {"Code": "None"}],
        }
        self.answers.extend([(400, body)] * times)

    def __call__(self, request: Any, **_: Any) -> AWSResponse | None:
        self.requests += 1
        if not self.answers:
            return None
        status, body = self.answers.popleft()
        headers: Any = {"content-type": "application/x-amz-json-1.0"}
        raw: Any = _Raw(body)
        return AWSResponse(request.url, status, headers, raw)


class _Raw:
    def __init__(self, body: dict[str, Any]) -> None:
        self._body = json.dumps(body).encode()

    def stream(self) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def interfere(cloud: Environment) -> Iterator[Interference]:
    """Return the interference with transactions and batches."""
    interference = Interference()
    events: Any = aws.dynamodb().meta.events  # its type stubs do not allow a handler to answer
    names = [f"before-send.dynamodb.{name}" for name in ("TransactWriteItems", "BatchWriteItem", "BatchGetItem")]
    for name in names:
        events.register(name, interference)
    yield interference
    for name in names:
        events.unregister(name, interference)


def test_a_transaction_that_met_another_is_run_again(cloud: Environment, interfere: Interference) -> None:
    interfere.conflict("TransactionConflict", times=3)
    share = cloud.share()
    assert interfere.requests == 4
    assert share.sync(part("1")) == 1


def test_a_transaction_that_always_meets_others_fails(cloud: Environment, interfere: Interference) -> None:
    share = cloud.share()
    interfere.conflict("TransactionConflict", times=6)
    with pytest.raises(ClientError):
        cloud.deletion.unshare(ShareId(share.id), share.secret)
    assert share.sync(part("1")) == 1, "nothing of it was done"


def test_a_transaction_whose_condition_failed_is_not_run_again(cloud: Environment, interfere: Interference) -> None:
    share = cloud.share()
    before = interfere.requests
    interfere.conflict("ConditionalCheckFailed")
    assert cloud.deletion.unshare(ShareId(share.id), share.secret) is not None
    assert interfere.requests == before + 1


def test_rows_that_a_batch_has_not_deleted_are_deleted_by_the_next(cloud: Environment, interfere: Interference) -> None:
    share = cloud.share()
    for n in range(3):
        share.sync(part(str(n)))
    cloud.deletion.unshare(ShareId(share.id), share.secret)
    rows = cloud.plane.rows(share.id)
    keys = [{"DeleteRequest": {"Key": {"pk": row["pk"], "sk": row["sk"]}}} for row in rows]
    interfere.answers.append((200, {"UnprocessedItems": {cloud.plane.shares: keys}}))
    assert cloud.store.purge(ShareId(share.id)) == len(rows)
    assert cloud.plane.rows(share.id) == []


def test_rows_that_a_batch_has_not_read_are_read_by_the_next(cloud: Environment, interfere: Interference) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    share = cloud.share(actor=cloud.actor(people.member(workspace), workspace))
    keys = [{"pk": {"S": share.id}, "sk": {"S": "META"}}]
    unread = {"Responses": {}, "UnprocessedKeys": {cloud.plane.shares: {"Keys": keys}}}
    interfere.answers.append((200, unread))
    assert [listed.share.id for listed in cloud.store.listed([share.id])] == [share.id]
