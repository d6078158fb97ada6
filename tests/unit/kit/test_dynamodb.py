"""The gateway's client of DynamoDB retries temporary errors, and does not retry final ones."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from opencode_cloud.kit.dynamodb import ConditionFailed, DynamoDB, DynamoDBError, TransactionRefused
from opencode_cloud.kit.dynamodb import client as module
from opencode_cloud.kit.errors import Unavailable

Answer = tuple[int, dict[str, Any]]
FINE: Answer = (200, {"Item": {"pk": {"S": "a"}}})


def refused(code: str, **more: Any) -> Answer:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **more}


def cancelled(*codes: str) -> Answer:
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


class Engine:
    """A transport that gives the configured answers in turn, and records requests."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        status, answer = self.answers.pop(0)
        return web.json_response(answer, status=status, content_type="application/x-amz-json-1.0")


@pytest.fixture
async def engine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    engine = Engine()
    app = web.Application()
    app.router.add_post("/", engine.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(module, "BACKOFF", replace(module.BACKOFF, first=0.001))
    yield engine
    await runner.cleanup()


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[DynamoDB]:
    client = DynamoDB()
    yield client
    await client.close()


async def test_a_call_is_signed_and_names_its_operation(engine: Engine, client: DynamoDB) -> None:
    engine.answers = [FINE]
    assert await client.call("GetItem", {"TableName": "t"}) == FINE[1]
    headers = engine.asked[0].headers
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert "SignedHeaders=host;x-amz-date;x-amz-target" in headers["authorization"]


@pytest.mark.parametrize(
    "answer",
    [
        refused("ThrottlingException"),
        refused("ProvisionedThroughputExceededException"),
        (500, {"__type": "InternalServerError"}),
        (503, {}),
        cancelled("None", "TransactionConflict"),
    ],
)
async def test_what_passes_is_tried_again(engine: Engine, client: DynamoDB, answer: Answer) -> None:
    engine.answers = [answer, answer, FINE]
    assert await client.call("TransactWriteItems", {}) == FINE[1]


async def test_what_does_not_pass_ends_in_a_503(engine: Engine, client: DynamoDB) -> None:
    engine.answers = [refused("ThrottlingException")] * (module.BACKOFF.attempts or 0)
    with pytest.raises(Unavailable) as raised:
        await client.call("GetItem", {})
    assert raised.value.code == "store_unavailable"


@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [
        (refused("ConditionalCheckFailedException", Item={"n": {"N": "1"}}), ConditionFailed, lambda e: e.item),
        (cancelled("ConditionalCheckFailed", "TransactionConflict"), TransactionRefused, lambda e: len(e.reasons) == 2),
        (refused("ValidationException"), DynamoDBError, lambda e: e.code == "ValidationException"),
    ],
)
async def test_what_was_decided_is_not_asked_again(
    engine: Engine, client: DynamoDB, answer: Answer, kind: type[DynamoDBError], shown: Callable[[Any], Any]
) -> None:
    engine.answers = [answer]
    with pytest.raises(kind) as raised:
        await client.call("TransactWriteItems", {})
    assert shown(raised.value)
    assert len(engine.asked) == 1
