"""The deployed console plane: the API's documents, limits, idempotency, mails and audit trail."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import LocalStack
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.http.api import api_app, limited_answer
from opencode_cloud.http.openapi import METHODS
from opencode_cloud.http.requests import subject_of
from opencode_cloud.kit import aws, rate_counters
from opencode_cloud.kit.rate_limits import RateLimiter
from tests.integration.people import People, Person
from tests.waiting import PATIENCE, until

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())


@pytest.fixture(scope="module")
def people(stack: LocalStack) -> People:
    return People(stack)


@pytest.fixture(scope="module")
def ada(people: People) -> Person:
    return people.somebody()


@pytest.fixture(scope="module")
def workspace(ada: Person) -> str:
    return ada.found("Research & Development")


@pytest.fixture
def anybody(stack: LocalStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=PATIENCE) as client:
        yield client


def address() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def invite(ada: Person, workspace: str, email: str, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    wish = {"email": email, "role": "member"}
    return ada.http.post(f"/api/v1/workspaces/{workspace}/invitations", json=wish, headers=headers)


def request(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "cloud.example.com", **headers},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "203.0.113.7"},
            "requestId": "r",
            "stage": "$default",
            "domainName": "cloud.example.com",
        },
    }


@pytest.fixture
def limiter(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> RateLimiter:
    """Return a limiter of two requests a minute, over the deployed table."""
    monkeypatch.setattr(aws, "dynamodb", lambda: stack.client("dynamodb"))
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: 1_000_000_000)  # all requests are in one window
    return RateLimiter(stack.outputs["SessionsTableName"], requests_per_minute=2)


class TestDocuments:
    def test_the_document_and_its_pages_are_served(self, anybody: httpx.Client) -> None:
        assert anybody.get("/api/openapi.json").json() == DOCUMENT
        for path in ("/api/docs", "/api/docs/problems"):
            page = anybody.get(path)
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/html")
            policy = page.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe-inline" not in policy
            for link in re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text):
                assert anybody.get(link).status_code == 200

    def test_every_documented_route_is_there_and_closed_to_strangers(self, anybody: httpx.Client) -> None:
        for path, item in DOCUMENT["paths"].items():
            if "/shares" in path or not path.startswith("/api/v1/"):
                continue
            for method in METHODS:
                if method in item and item[method]["x-permission"] != "none" and "requestBody" not in item[method]:
                    answer = anybody.request(method, re.sub(r"{\w+}", "1", path))
                    assert answer.json()["code"] in ("login_required", "invalid_request"), f"{method} {path}"

    def test_what_is_not_there_is_a_problem(self, anybody: httpx.Client) -> None:
        answer = anybody.get("/api/v1/nothing")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == "route_not_found"
        assert problem["type"].endswith("/api/docs/problems#route_not_found")


class TestLimits:
    def test_every_answer_says_where_one_stands(self, ada: Person) -> None:
        first, second = (ada.http.get("/api/v1/workspaces") for _ in range(2))
        limits = [int(answer.headers["ratelimit-remaining"]) for answer in (first, second)]
        assert limits[1] < limits[0] or int(second.headers["ratelimit-reset"]) > int(first.headers["ratelimit-reset"])
        assert int(first.headers["ratelimit-limit"]) > limits[0]

    def test_who_asks_too_often_is_told_when_to_come_again(self, stack: LocalStack, limiter: RateLimiter) -> None:
        def app_answer(authorization: str) -> dict[str, Any]:
            event = request("GET", "/api/v1/nothing", {"authorization": authorization})
            return limited_answer(api_app(), limiter, event, None)

        eager = f"Bearer {secrets.token_hex(8)}"
        assert [app_answer(eager)["statusCode"] for _ in range(3)] == [404, 404, 429]
        refused = app_answer(eager)
        assert json.loads(refused["body"])["code"] == "rate_limited"
        assert 0 < int(refused["headers"]["Retry-After"]) <= 60
        assert refused["headers"]["RateLimit-Remaining"] == "0"
        assert app_answer(f"Bearer {secrets.token_hex(8)}")["statusCode"] == 404

    def test_other_cookies_do_not_make_one_seem_to_be_many(self) -> None:
        one = request("GET", "/", {"cookie": "a=1; __Host-opencode_session=s; b=2"})
        two = {**request("GET", "/", {}), "cookies": ["c=9", "__Host-opencode_session=s"]}
        assert subject_of(one) == subject_of(two)
        assert subject_of(request("GET", "/", {"cookie": "a=1"})) == "203.0.113.7"


class TestIdempotency:
    def test_a_repeated_request_gets_the_first_answer_with_its_secret(self, ada: Person, workspace: str) -> None:
        key = secrets.token_hex(16)
        first, second = (
            ada.http.post(f"/api/v1/workspaces/{workspace}/keys", json={"name": "ci"}, headers={"Idempotency-Key": key})
            for _ in range(2)
        )
        assert first.status_code == second.status_code == 201, first.text
        assert first.json() == second.json()
        assert second.json()["secret"].startswith("oc_sk_")
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"

    def test_another_request_with_the_same_key_is_refused(self, ada: Person, workspace: str) -> None:
        key, email = secrets.token_hex(16), address()
        assert invite(ada, workspace, email, key).status_code == 201
        refused = invite(ada, workspace, address(), key)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")

    def test_of_many_at_once_one_is_carried_out(self, people: People) -> None:
        eager, key = people.somebody(), secrets.token_hex(16)

        def found(_: int) -> httpx.Response:
            return eager.http.post("/api/v1/workspaces", json={"name": "Once"}, headers={"Idempotency-Key": key})

        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(found, range(3)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        refused = {answer.json()["code"] for answer in answers if answer.status_code == 409}
        assert refused <= {"idempotency_in_progress"}
        [workspace] = eager.http.get("/api/v1/workspaces").json()["data"]
        assert {answer.json()["id"] for answer in answers if answer.status_code == 201} == {workspace["id"]}

    def test_a_refused_request_may_be_made_again(self, ada: Person, workspace: str) -> None:
        key, email = secrets.token_hex(16), address()
        assert invite(ada, workspace, email).status_code == 201
        assert invite(ada, workspace, email, key).status_code == 409
        assert invite(ada, workspace, email, key).status_code == 409

    def test_the_same_key_of_somebody_else_is_another_key(self, people: People, ada: Person, workspace: str) -> None:
        key, bob = secrets.token_hex(16), people.somebody()
        one = ada.http.post("/api/v1/workspaces", json={"name": "One"}, headers={"Idempotency-Key": key})
        two = bob.http.post("/api/v1/workspaces", json={"name": "One"}, headers={"Idempotency-Key": key})
        assert one.status_code == two.status_code == 201
        assert one.json()["id"] != two.json()["id"]

    def test_who_was_removed_does_not_get_a_stored_answer(self, people: People) -> None:
        owner = people.somebody()
        place = owner.found()
        bob = people.joined(owner, place, "member")  # pyright: ignore[reportArgumentType]
        key = secrets.token_hex(16)
        path, headers = f"/api/v1/workspaces/{place}/keys", {"Idempotency-Key": key}
        assert bob.http.post(path, json={"name": "ci"}, headers=headers).status_code == 201
        members = owner.http.get(f"/api/v1/workspaces/{place}/members").json()["data"]
        [member] = [each["id"] for each in members if each["email"] == bob.email]
        assert owner.http.delete(f"/api/v1/workspaces/{place}/members/{member}").status_code == 204
        assert bob.http.post(path, json={"name": "ci"}, headers=headers).status_code == 404

    def test_who_was_removed_does_not_get_a_restored_document_again(self, people: People) -> None:
        owner = people.somebody()
        place = owner.found()
        bob = people.joined(owner, place, "admin")  # pyright: ignore[reportArgumentType]
        path, headers = f"/api/v1/workspaces/{place}/policy", {"Idempotency-Key": secrets.token_hex(16)}
        read = bob.http.get(path)
        made = bob.http.put(path, json={"policy": {}}, headers={"If-Match": read.headers["etag"]})
        assert made.status_code == 200, made.text
        restore = f"{path}/versions/{made.json()['version']}/restore"
        headers["If-Match"] = made.headers["etag"]
        first = bob.http.post(restore, headers=headers, json={"comment": "again"})
        assert first.is_success, first.text
        again = bob.http.post(restore, headers=headers, json={"comment": "again"})
        assert again.headers["idempotent-replayed"] == "true"
        members = owner.http.get(f"/api/v1/workspaces/{place}/members").json()["data"]
        [member] = [each["id"] for each in members if each["email"] == bob.email]
        assert owner.http.delete(f"/api/v1/workspaces/{place}/members/{member}").status_code == 204
        assert bob.http.post(restore, headers=headers, json={"comment": "again"}).status_code == 404

    def test_a_dump_of_the_table_holds_neither_keys_nor_answers(
        self, stack: LocalStack, ada: Person, workspace: str
    ) -> None:
        key = secrets.token_hex(16)
        made = ada.http.post(
            f"/api/v1/workspaces/{workspace}/keys", json={"name": "dump"}, headers={"Idempotency-Key": key}
        ).json()
        rows = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["SessionsTableName"])
        dump = repr([page["Items"] for page in rows])
        assert "idempotency#" in dump
        assert key not in dump
        assert made["secret"] not in dump
        assert made["id"] not in dump


class TestMail:
    def test_an_invitation_arrives_and_its_link_is_in_no_table(
        self, stack: LocalStack, ada: Person, workspace: str
    ) -> None:
        email = address()
        assert invite(ada, workspace, email).status_code == 201
        mail = stack.mailbox.wait(email)
        assert "Research & Development" in mail.subject
        token = re.search(r"/invitations/([A-Za-z0-9_-]{43})", mail.text)
        assert token
        assert token[1].encode() not in stack.database.dump()

    def test_the_list_of_invitations_says_what_became_of_the_mail(
        self, stack: LocalStack, ada: Person, workspace: str
    ) -> None:
        email = address()
        made = invite(ada, workspace, email).json()
        stack.mailbox.wait(email)
        one = f"/api/v1/workspaces/{workspace}/invitations/{made['id']}"
        until(lambda: "sent" in ada.http.get(one).text)
        bounce = {
            "eventType": "Bounce",
            "bounce": {
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "bouncedRecipients": [{"emailAddress": email, "diagnosticCode": "smtp; 550 5.1.1 user unknown"}],
            },
            "mail": {"messageId": "m", "tags": {"mail": [self._mail_id(stack, email)]}},
        }
        queue = self._queue(stack)
        stack.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(bounce))
        until(lambda: "bounced" in ada.http.get(one).text)

    def _mail_id(self, stack: LocalStack, email: str) -> str:
        from sqlalchemy import select

        from opencode_cloud.kit.sql import Database
        from opencode_cloud.schema.mail import mails

        database = Database(stack.database.access.url())
        with database.transaction() as connection:
            found = connection.execute(select(mails.c.id).where(mails.c.recipient == email)).scalar_one()
        database.dispose()
        return found

    def _queue(self, stack: LocalStack) -> str:
        function = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs["MailFunctionName"])
        return function["Environment"]["Variables"]["MAIL_QUEUE_URL"]


class TestAudit:
    def test_what_was_done_is_on_record_without_secrets(self, ada: Person, workspace: str) -> None:
        made = ada.http.post(f"/api/v1/workspaces/{workspace}/keys", json={"name": "audited"}).json()
        page = ada.http.get(f"/api/v1/workspaces/{workspace}/audit", params={"action": "key.*"})
        assert page.status_code == 200, page.text
        [entry] = [each for each in page.json()["data"] if each["target"]["id"] == made["id"]]
        assert entry["actor"]["name"] == ada.email
        assert entry["actor"]["credential"] == "session"
        assert entry["correlation_id"]
        assert made["secret"] not in page.text

    def test_an_export_holds_the_same_entries(self, ada: Person, workspace: str) -> None:
        export = ada.http.get(f"/api/v1/workspaces/{workspace}/audit/export", params={"format": "json"})
        assert {each["action"] for each in export.json()} >= {"workspace.created"}
        table = ada.http.get(f"/api/v1/workspaces/{workspace}/audit/export")
        assert table.headers["content-type"].startswith("text/csv")
        assert len(table.text.splitlines()) >= len(export.json())

    def test_entries_of_planes_without_sql_arrive(self, stack: LocalStack, ada: Person, workspace: str) -> None:
        from opencode_cloud.audit.service import entry
        from opencode_cloud.contracts.actor import Actor, ActorKind
        from opencode_cloud.contracts.audit import Target

        function = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs["RelayFunctionName"])
        queue = function["Environment"]["Variables"]["AUDIT_QUEUE_URL"]
        import msgspec

        made = entry(
            Actor(kind=ActorKind.SYSTEM), "share.revoked", Target("share", "s-1"), workspace_id=WorkspaceId(workspace)
        )
        for _ in range(2):
            stack.client("sqs").send_message(QueueUrl=queue, MessageBody=msgspec.json.encode(made).decode())
        audit = f"/api/v1/workspaces/{workspace}/audit"
        found = until(lambda: ada.http.get(audit, params={"target": "s-1"}).json()["data"])
        assert [each["id"] for each in found] == [made.id]

    def test_the_daily_tick_keeps_house(self, stack: LocalStack) -> None:
        answer = stack.client("lambda").invoke(
            FunctionName=f"{stack.outputs['RelayFunctionName']}:live",
            Payload=json.dumps({"source": "schedule"}).encode(),
        )
        # Other tests leave rows that are due for deletion, so the numbers are not known.
        assert json.load(answer["Payload"]).keys() == {
            "audit entries",
            "mails",
            "workspaces",
            "domains",
            "newer releases",
        }
