"""``Idempotency-Key``: a repeated request gets the first answer, and no other request does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.kit import idempotency
from opencode_cloud.kit.clock import DAY_SECONDS
from opencode_cloud.kit.errors import NotFound, ServiceError
from opencode_cloud.kit.idempotency import Idempotency
from tests.unit.aws import Cloud

NOW = 1_800_000_000
KEY = "0b6a1f4e-once"


class App:
    """An API with one POST route, which counts its executions."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud, self.calls, self.status, self.now = cloud, 0, 201, NOW
        self.removed: set[str] = set()
        self.during: Callable[[], None] = lambda: None
        monkeypatch.setattr(idempotency, "now_seconds", lambda: self.now)
        self.table = cloud.table("sessions")
        once = Idempotency(self.table, lambda: "deployment", lambda event: event["headers"]["who"], self._admit)
        self.app = APIGatewayHttpResolver()
        self.app.use([once.middleware()])
        self.app.post("/things")(self._make)
        self.app.post("/others")(self._make)

    def _admit(self, event: Any) -> None:
        if event["headers"]["who"] in self.removed:
            raise NotFound("workspace_not_found", "There is no such workspace.")

    def _make(self) -> Response[str]:
        self.calls += 1
        self.during()
        if self.status == 500:
            raise RuntimeError("the route failed")
        return Response(self.status, "application/json", json.dumps({"secret": f"oc_sk_{self.calls}"}))

    def post(self, body: str = "{}", *, path: str = "/things", who: str = "ada", key: str = KEY) -> dict[str, Any]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"idempotency-key": key, "who": who},
            "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
            "body": body,
            "isBase64Encoded": False,
        }
        return self.app.resolve(event, None)  # pyright: ignore[reportArgumentType]

    def refusal(self, body: str = "{}", **options: str) -> str:
        with pytest.raises(ServiceError) as raised:
            self.post(body, **options)
        return raised.value.code


@pytest.fixture
def app(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> App:
    return App(cloud, monkeypatch)


def test_a_repeated_request_gets_the_first_answer(app: App) -> None:
    first, second = app.post(), app.post()
    assert (first["statusCode"], first["body"], app.calls) == (201, '{"secret": "oc_sk_1"}', 1)
    assert (second["statusCode"], second["body"]) == (201, first["body"])
    assert second["headers"]["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("other", [{"body": '{"name": "b"}'}, {"path": "/others"}], ids=["body", "path"])
def test_another_request_under_the_same_key_is_refused(app: App, other: dict[str, str]) -> None:
    app.post()
    assert app.refusal(**other) == "idempotency_key_reused"
    assert app.calls == 1


def test_while_the_first_request_is_served_others_are_refused(app: App) -> None:
    refusals: list[str] = []

    def meanwhile() -> None:
        app.during = lambda: None
        refusals.extend((app.refusal(), app.refusal('{"name": "b"}')))

    app.during = meanwhile
    assert app.post()["statusCode"] == 201
    assert refusals == ["idempotency_in_progress", "idempotency_key_reused"]


def test_a_killed_request_may_be_made_again_when_its_lease_has_ended(app: App) -> None:
    def killed() -> None:
        app.during = lambda: None
        raise KeyboardInterrupt  # not an Exception, so no handler cleans up

    app.during = killed
    with pytest.raises(KeyboardInterrupt):
        app.post()
    assert app.refusal() == "idempotency_in_progress"
    app.now += idempotency.LEASE_SECONDS + 1
    assert app.refusal('{"name": "b"}') == "idempotency_key_reused"
    assert app.post()["statusCode"] == 201


def test_a_request_that_changed_nothing_may_be_made_again(app: App) -> None:
    app.status = 409
    assert app.post()["statusCode"] == 409
    app.status = 500
    with pytest.raises(RuntimeError):
        app.post()
    app.status = 201
    assert app.post('{"name": "b"}')["statusCode"] == 201
    assert app.calls == 3


def test_the_key_of_somebody_else_is_another_key(app: App) -> None:
    first, second = app.post(who="ada"), app.post(who="bob")
    assert first["body"] != second["body"]


def test_a_stored_answer_is_not_given_to_somebody_who_was_removed(app: App) -> None:
    app.post()
    app.removed.add("ada")
    assert app.refusal() == "workspace_not_found"


def test_a_record_holds_for_a_day(app: App) -> None:
    app.post()
    app.now += DAY_SECONDS
    app.post()
    assert app.calls == 1
    app.now += 1
    app.post()
    assert app.calls == 2


def test_the_table_holds_neither_key_nor_answer(app: App) -> None:
    secret = json.loads(app.post('{"name": "quiet"}')["body"])["secret"]
    dump = repr(app.cloud.rows(app.table)).encode()
    assert b"idempotency#" in dump
    for each in (KEY, secret, "quiet"):
        assert each.encode() not in dump


def test_a_key_that_is_none_is_refused(app: App) -> None:
    assert app.refusal(key="short") == "invalid_idempotency_key"
