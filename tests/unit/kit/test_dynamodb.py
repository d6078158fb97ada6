"""Both clients of DynamoDB retry temporary errors, and do not retry final ones."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import formatdate
from typing import Any

import pytest
from msgspec.structs import replace

from opencode_cloud.kit.aws_api.credentials import CredentialSource, SigningCredentials, credential_source
from opencode_cloud.kit.dynamodb import (
    AsyncDynamoDB,
    ConditionFailed,
    Contended,
    DynamoDB,
    DynamoDBError,
    TransactionRefused,
    protocol,
)
from opencode_cloud.kit.dynamodb import client as client_module
from opencode_cloud.kit.errors import Unavailable
from tests.unit.kit.http_server import Received, http_server
from tests.waiting import PATIENCE

Reply = tuple[int, dict[str, Any]]
FINE: Reply = (200, {"Item": {"pk": {"S": "a"}}})
Call = Callable[[str, Mapping[str, Any]], Any]


def refused(code: str, **more: Any) -> Reply:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **more}


def cancelled(*codes: str) -> Reply:
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


class Engine:
    """A server that gives the configured answers in turn, and records requests."""

    def __init__(self) -> None:
        self.answers: list[Reply] = []
        self.asked: list[Received] = []
        self.date = time.time()

    def answer(self, request: Received) -> bytes:
        self.asked.append(request)
        status, answer = self.answers.pop(0)
        body = json.dumps(answer).encode()
        date = formatdate(self.date, usegmt=True)
        return f"HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    faster = replace(protocol.BACKOFF, first=0.001)
    monkeypatch.setattr(protocol, "BACKOFF", faster)
    monkeypatch.setattr(client_module, "BACKOFF", faster)
    return Engine()


@pytest.fixture(params=["threads", "event loop"])
async def call(request: pytest.FixtureRequest, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Call]:
    """Return the method `call` of one of the clients, as a coroutine."""
    with http_server(engine.answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        if request.param == "threads":
            threads = DynamoDB()
            yield lambda operation, body: asyncio.to_thread(threads.call, operation, body)
        else:
            client = AsyncDynamoDB()
            yield client.call
            await client.close()


async def test_a_call_is_signed_and_names_its_operation(engine: Engine, call: Call) -> None:
    engine.answers = [FINE]
    assert await call("GetItem", {"TableName": "t"}) == FINE[1]
    headers = engine.asked[0].headers
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target" in headers["authorization"]


@pytest.mark.parametrize(
    "answer",
    [
        refused("ThrottlingException"),
        refused("ProvisionedThroughputExceededException"),
        (500, {"__type": "InternalServerError"}),
        (500, {"__type": "com.amazon.coral.service#InternalFailure"}),
        (503, {}),
        cancelled("None", "TransactionConflict"),
    ],
)
async def test_what_passes_is_tried_again(engine: Engine, call: Call, answer: Reply) -> None:
    engine.answers = [answer, answer, FINE]
    assert await call("TransactWriteItems", {}) == FINE[1]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refused("ThrottlingException"), Unavailable, "store_unavailable"),
        (cancelled("TransactionConflict"), Contended, "store_contended"),
    ],
)
async def test_what_does_not_pass_ends_in_a_503(
    engine: Engine, call: Call, answer: Reply, kind: type[Unavailable], code: str
) -> None:
    engine.answers = [answer] * (protocol.BACKOFF.attempts or 0)
    with pytest.raises(kind) as raised:
        await call("TransactWriteItems", {})
    assert (raised.value.code, raised.value.status) == (code, 503)
    assert engine.answers == []


@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [
        (refused("ConditionalCheckFailedException", Item={"n": {"N": "1"}}), ConditionFailed, lambda e: e.item),
        (cancelled("ConditionalCheckFailed", "TransactionConflict"), TransactionRefused, lambda e: len(e.reasons) == 2),
        (refused("ValidationException"), DynamoDBError, lambda e: e.code == "ValidationException"),
    ],
)
async def test_what_was_decided_is_not_asked_again(
    engine: Engine, call: Call, answer: Reply, kind: type[DynamoDBError], shown: Callable[[Any], Any]
) -> None:
    engine.answers = [answer]
    with pytest.raises(kind) as raised:
        await call("TransactWriteItems", {})
    assert shown(raised.value)
    assert len(engine.asked) == 1


async def test_credentials_that_have_expired_are_read_again(
    engine: Engine, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answers = [FINE, refused("ExpiredTokenException"), FINE]
    await call("GetItem", {})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "rotated")
    assert await call("GetItem", {}) == FINE[1]
    keys = [asked.headers["authorization"].partition("Credential=")[2].partition("/")[0] for asked in engine.asked]
    assert keys == ["test", "test", "rotated"]


async def test_credentials_that_come_slowly_hold_up_no_other_task(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, held_up = CredentialSource.get, list[bool]()
    began, other_ran = threading.Event(), threading.Event()

    def slowly(source: CredentialSource) -> SigningCredentials:
        if not source.is_current:
            began.set()
            held_up.append(not other_ran.wait(PATIENCE))
        return get(source)

    monkeypatch.setattr(CredentialSource, "get", slowly)
    engine.answers = [FINE]
    with http_server(engine.answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        client = AsyncDynamoDB()
        credential_source().renew()
        waiting = asyncio.create_task(client.call("GetItem", {}))
        while not waiting.done():
            await asyncio.sleep(0.005)
            if began.is_set():
                other_ran.set()
        await client.close()
    assert held_up == [False]


async def test_a_clock_that_is_wrong_follows_the_services(engine: Engine, call: Call) -> None:
    engine.date += 3600
    engine.answers = [refused("InvalidSignatureException"), FINE]
    assert await call("GetItem", {}) == FINE[1]
    first, second = (time.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for asked in engine.asked)
    assert 3590 < time.mktime(second) - time.mktime(first) < 3610


@pytest.fixture(autouse=True)
def read_the_environment_again() -> None:
    """Forget the credentials that other tests of this process have set."""
    credential_source().renew()


def test_all_pages_of_a_query_are_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"pk": {"S": str(number)}} for number in range(3)]
    engine.answers = [
        (200, {"Items": rows[:2], "LastEvaluatedKey": rows[1]}),
        (200, {"Items": [], "LastEvaluatedKey": rows[1]}),
        (200, {"Items": rows[2:]}),
    ]
    with http_server(engine.answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        pages = list(DynamoDB().pages(TableName="t"))
    assert [row for page in pages for row in page["Items"]] == rows
    asked = [json.loads(each.body) for each in engine.asked]
    assert asked == [{"TableName": "t"}, *[{"TableName": "t", "ExclusiveStartKey": rows[1]}] * 2]


def test_a_store_that_is_away_ends_in_a_503(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(engine.answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        client = DynamoDB()
    with pytest.raises(Unavailable) as raised:
        client.get_item(TableName="t")
    assert raised.value.code == "store_unavailable"
