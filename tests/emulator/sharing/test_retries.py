"""DynamoDB's answers besides success: conflicts of transactions, and unprocessed parts of a batch."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.dynamodb import Contended, DynamoDB
from tests.emulator.sharing.plane import Environment
from tests.integration.publisher import part

INTERFERED = ("TransactWriteItems", "BatchWriteItem", "BatchGetItem")
SEND = DynamoDB._send


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

    def send(self, client: DynamoDB, operation: str, body: bytes) -> tuple[int, bytes, str]:
        """Do as the client's own method, except for transactions and batches while answers are left."""
        if operation not in INTERFERED:
            return SEND(client, operation, body)
        self.requests += 1
        if not self.answers:
            return SEND(client, operation, body)
        status, answer = self.answers.popleft()
        return status, json.dumps(answer).encode(), ""


@pytest.fixture
def interfere(cloud: Environment, monkeypatch: pytest.MonkeyPatch) -> Interference:
    """Return the interference with transactions and batches."""
    interference = Interference()
    monkeypatch.setattr(DynamoDB, "_send", lambda *request: interference.send(*request))
    return interference


def test_a_transaction_that_met_another_is_run_again(cloud: Environment, interfere: Interference) -> None:
    interfere.conflict("TransactionConflict", times=3)
    share = cloud.share()
    assert interfere.requests == 4
    assert share.sync(part("1")) == 1


def test_a_transaction_that_always_meets_others_fails(cloud: Environment, interfere: Interference) -> None:
    share = cloud.share()
    interfere.conflict("TransactionConflict", times=5)
    with pytest.raises(Contended):
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
