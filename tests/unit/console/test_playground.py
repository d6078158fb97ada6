"""The playground: a prompt to one or two models, with its cost before and after, by calls of the gateway."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from opencode_cloud.composition import playground
from opencode_cloud.console.gateway_client import CHAT, COUNT, SLOW, UNREACHABLE
from opencode_cloud.contracts.ids import CallId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, Role, allows
from opencode_cloud.contracts.usage import Tokens, UsageEvent
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import new_id
from opencode_cloud.policies.models import Versioned
from opencode_cloud.schema.usage_events import to_row
from tests.unit.aws import by_boto3
from tests.unit.console.office import Office
from tests.waiting import PATIENCE

FIRST, SECOND = "gpt-5.4-nano", "claude-haiku-4-5"
REFUSED = {"error": {"message": "The monthly budget of this workspace is used up.", "code": "budget_exhausted"}}


@dataclass
class GatewayStandIn:
    """A server that answers each model by its own status and document, and keeps the requests."""

    office: Office
    url: str = ""
    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list[Any])
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict[str, tuple[int, Any]])
    settles: bool = True

    def asked(self) -> list[str]:
        """Return the models that were asked."""
        return [body["model"] for path, _, body in self.seen if path == CHAT]

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any, str]:
        self.seen.append((path, headers, body))
        status, document = self.answers.get(body["model"], (200, completion(f"I am {body['model']}.")))
        correlation = new_id("req")
        if path == COUNT:
            return (200, {"input_tokens": 1000}, correlation) if status != 403 else (status, document, correlation)
        if status == 200 and self.settles:
            self.settle(body["model"], correlation, headers["x-org-id"])
        return status, document, correlation

    def settle(self, model: str, correlation: str, workspace: str) -> None:
        event = UsageEvent(
            id=CallId(new_id("call")),
            at=now_seconds() * 1000,
            workspace_id=WorkspaceId(workspace),
            member_id=MemberId("mem_1"),
            model=model,
            upstream="openai",
            tokens=Tokens(input=1002, output=7),
            cost=12_345_678,
            reserved=99_000_000,
            correlation_id=correlation,
        )
        by_boto3("dynamodb").put_item(TableName="usage", Item=to_row(event))


def completion(text: str, finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}]}


@pytest.fixture
def gateway(office: Office) -> Iterator[GatewayStandIn]:
    stand_in = GatewayStandIn(office)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document, correlation = stand_in.answer(self.path, headers, body)
            self.send_response(status)
            self.send_header("x-request-id", correlation)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a caller who has read enough closes the connection
                self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    stand_in.url = office.gateway_url = f"http://127.0.0.1:{server.server_port}"
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()


def submit(office: Office, do: str = "ask", role: Role = Role.MEMBER, **fields: str) -> Any:
    browser, path = office.browser(role), f"{office.base}/playground"
    filled = {"prompt": "Who are <you>?", "model": FIRST, "limit": "100", "do": do, **fields}
    return browser.submit(browser.open(path), path, **filled)


def test_two_models_are_asked_and_each_shows_its_cost_before_and_after(office: Office, gateway: GatewayStandIn) -> None:
    gateway.answers[SECOND] = (200, completion("<b>I am second</b>", "length"))
    page = submit(office, other=SECOND)
    assert (page.status, sorted(gateway.asked())) == (200, sorted([FIRST, SECOND]))
    assert f"I am {FIRST}." in page.text
    assert "<b>I am second</b>" in page.text
    assert "<b>I am second" not in page.answer.text, "what models say is text"
    assert page.text.count("$0.12345678") == 2, "the cost as it was settled"
    assert page.text.count("$0.99") == 2
    assert "1002 in, 7 out" in page.text
    assert "it has reached the limit" in page.text
    assert "Who are <you>?" in page.text, "the prompt stays in the form"
    asked = [body for path, _, body in gateway.seen if path == CHAT]
    assert all(body["messages"] == [{"role": "user", "content": "Who are <you>?"}] for body in asked)
    assert all(body["max_tokens"] == 100 for body in asked)


def test_an_estimate_asks_no_model(office: Office, gateway: GatewayStandIn) -> None:
    page = submit(office, do="estimate")
    assert gateway.asked() == []
    # $0.20 and $1.25 for a million tokens: 1000 tokens of the prompt, 100 of the answer.
    assert "about $0.0002 for the prompt of 1000 tokens alone" in page.text
    assert "at most about $0.0003;" in page.text


def test_the_gateway_is_called_as_the_person_by_a_token_that_lasts_a_minute_and_is_in_no_page(
    office: Office, gateway: GatewayStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued: list[Any] = []
    made = playground.PlaygroundPages.__init__

    def watched(self: Any, app: Any, catalogue: Any, client: Any, issue: Any, calls: Any) -> None:
        made(self, app, catalogue, client, lambda *given: issued.append(given) or issue(*given), calls)

    monkeypatch.setattr(playground.PlaygroundPages, "__init__", watched)
    page = submit(office)
    person = office.people[Role.MEMBER]
    ((_, account, session, client, seconds),) = issued
    assert (account, client, seconds) == (person.account_id, "playground", 60)
    for _, headers, _ in gateway.seen:
        assert headers["x-org-id"] == office.workspace
        assert headers["user-agent"] == "playground"
        assert headers["authorization"].startswith("Bearer ey")
        assert headers["authorization"].removeprefix("Bearer ") not in page.answer.text
        assert session not in str(headers)


def test_a_refusal_is_shown_as_the_gateway_says_it(office: Office, gateway: GatewayStandIn) -> None:
    gateway.answers[FIRST] = (402, REFUSED)
    page = submit(office, other=SECOND)
    assert "The monthly budget of this workspace is used up. budget_exhausted" in page.text
    assert "nothing: the gateway refused the call" in page.text
    assert f"I am {SECOND}." in page.text, "the other model answers"
    gateway.answers[FIRST] = (403, {"error": {"message": "Not permitted.", "code": "model_not_allowed"}})
    assert "not known" in submit(office).text


def test_a_gateway_that_does_not_answer_is_said(
    office: Office, gateway: GatewayStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for broken in (b"<html>", {"choices": []}):
        gateway.answers[FIRST] = (200, broken)
        assert UNREACHABLE in submit(office).text
    monkeypatch.setattr("opencode_cloud.console.gateway_client.ANSWER_SECONDS", 0.2)
    release = threading.Event()
    monkeypatch.setattr(gateway, "settle", lambda *_: release.wait(PATIENCE))
    del gateway.answers[FIRST]
    page = submit(office)
    release.set()
    assert SLOW in page.text
    assert "not settled yet" in page.text


def test_a_call_that_is_not_settled_yet_shows_no_cost(office: Office, gateway: GatewayStandIn) -> None:
    gateway.settles = False
    assert "not settled yet: see Calls" in submit(office).text


def test_a_reload_asks_no_model_again(office: Office, gateway: GatewayStandIn) -> None:
    browser, path = office.browser(Role.MEMBER), f"{office.base}/playground"
    fields = {**browser.open(path).forms[path].fields, "prompt": "Hi", "model": FIRST, "do": "ask"}
    first, second = browser.go(path, fields), browser.go(path, fields)
    assert gateway.asked() == [FIRST]
    assert first.text == second.text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("prompt", " ", "Fill in this field"),
        ("prompt", "x" * 20_001, "at most 20,000 characters"),
        ("limit", "0", "from 1 to 2,000"),
        ("limit", "1e3", "from 1 to 2,000"),
        ("limit", "99999999999", "from 1 to 2,000"),
        ("model", "", "Choose one of the offered values"),
        ("other", "gpt-secret", "Choose one of the offered values"),
    ],
)
def test_a_wrong_field_is_marked_and_no_model_is_asked(
    office: Office, gateway: GatewayStandIn, name: str, value: str, words: str
) -> None:
    fields: Any = {name: value}
    page = submit(office, **fields)
    assert (page.status, words in page.text) == (422, True)
    assert gateway.seen == []


def test_only_models_that_the_policy_permits_are_offered(office: Office, gateway: GatewayStandIn) -> None:
    policy = {"models": {"allow": [f"opencode-cloud/{FIRST}"]}}
    office.plane.publisher.publish(office.acting(office.owner), office.workspace, Versioned.POLICY, policy, 0, "")
    browser, path = office.browser(Role.MEMBER), f"{office.base}/playground"
    offered = browser.open(path).answer.text
    assert (FIRST in offered, SECOND in offered) == (True, False)
    assert submit(office, model=SECOND).status == 422
    assert gateway.seen == []
    policy = {"models": {"allow": ["opencode-cloud/none"]}}
    office.plane.publisher.publish(office.acting(office.owner), office.workspace, Versioned.POLICY, policy, 1, "")
    assert "permits none of the models" in browser.open(path).text


@pytest.mark.parametrize("role", Role)
def test_the_page_is_open_to_roles_that_may_call_models(office: Office, gateway: GatewayStandIn, role: Role) -> None:
    page = office.browser(role).open(f"{office.base}/playground")
    assert (page.status == 200) == allows(role, None, Permission.INFERENCE)
    assert gateway.seen == []
