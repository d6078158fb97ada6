"""The gateway's HTTP: paths, headers, answers, errors, and clients that disconnect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.addresses import LISTS
from opencode_cloud.gateway.formats import WIRE_FORMATS, PathTarget
from opencode_cloud.kit.errors import PaymentRequired
from tests.unit.gateway.asking import KEY, LIMIT, Seen
from tests.unit.gateway.calling import WHOLE, Rig, Scripted, delta, sse
from tests.waiting import PATIENCE

BODY = {"model": "m1", "messages": [{"role": "user", "content": "Hi"}]}
STREAMED = {**BODY, "stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer secret"},
        {"authorization": "bearer  secret "},
        {"x-api-key": "secret"},
        {"x-goog-api-key": "secret"},
        {"api-key": "secret"},
    ],
)
async def test_a_key_may_come_in_any_header_that_clients_use(
    client: httpx.AsyncClient, seen: Seen, headers: dict[str, str]
) -> None:
    assert (await client.post("/zen/v1/chat/completions", json=BODY, headers=headers)).status_code == 200
    assert seen.incoming[0].request.bearer == "secret"


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "x-api-key", "access_token", "authorization"])
async def test_a_key_in_the_query_is_no_credential(client: httpx.AsyncClient, seen: Seen, name: str) -> None:
    await client.post("/zen/v1/chat/completions", params={name: "oc_sk_x"}, json=BODY)
    [incoming] = seen.incoming
    assert incoming.request.bearer == ""
    assert "oc_sk_x" not in repr(incoming)
    assert (await client.get("/zen/v1/models", params={name: "oc_sk_x"})).status_code == 401


async def test_what_a_client_says_of_itself_is_taken_along(client: httpx.AsyncClient, seen: Seen) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {
        "x-org-id": "wrk_1",
        "x-opencode-session": "ses_1",
        "x-opencode-request": "msg_1",
        "x-opencode-client": "cli",
        "x-opencode-project": "4b0ea68d",
        "x-cost-center": "web",
        "x-secret": "secret",
        "user-agent": "codex_exec/0.171.0",
        "x-forwarded-for": "203.0.113.9",
        "traceparent": trace,
        "cookie": "secret",
    }
    answer = await client.post("/zen/v1/chat/completions", json=BODY, headers=headers)
    [incoming] = seen.incoming
    assert (incoming.workspace_id, incoming.session, incoming.client_request) == ("wrk_1", "ses_1", "msg_1")
    assert incoming.request == AccessRequest(address="203.0.113.9", correlation_id=trace.split("-")[1])
    assert incoming.tracing == {"traceparent": trace}
    assert incoming.metadata["client"] == "cli"
    assert incoming.agent == "codex"
    assert incoming.project_headers == {"x-opencode-project": "4b0ea68d", "x-cost-center": "web"}
    assert "secret" not in repr(incoming)
    assert answer.headers["x-request-id"] == trace.split("-")[1]


@pytest.mark.parametrize(
    ("path", "format_"), [(path, wire.name) for wire in WIRE_FORMATS.values() for path in wire.client_paths]
)
async def test_each_path_has_its_format_and_its_errors(
    client: httpx.AsyncClient, seen: Seen, path: str, format_: Format
) -> None:
    answer = await client.post(path.replace("{call}", "none:generateContent"), content=b"{", headers=KEY)
    assert answer.status_code == 400
    assert seen.incoming[0].format is format_
    told = answer.json()["error"]
    assert "JSON" in told["message"]
    if format_ is Format.GENERATE:
        assert (told["code"], told["status"]) == (400, "INVALID_ARGUMENT")
    else:
        assert (answer.json()["type"], told["type"], told["code"]) == (
            *("error", "invalid_request_error", "invalid_request"),
        )


@pytest.mark.parametrize(
    ("call", "model_name", "stream"),
    [
        ("m1:generateContent", "m1", False),
        ("m1:streamGenerateContent?alt=sse", "m1", True),
        ("vendor:m1:generateContent", "vendor:m1", False),
        ("openai/m1:generateContent", "openai/m1", False),
        ("openai%2Fm1:streamGenerateContent?alt=sse", "openai/m1", True),
    ],
)
async def test_googles_paths_name_model_and_method(
    client: httpx.AsyncClient, seen: Seen, call: str, model_name: str, stream: bool
) -> None:
    await client.post(f"/zen/v1/models/{call}", json={"contents": []})
    assert seen.incoming[0].path_target == PathTarget(model_name, stream)


@pytest.mark.parametrize("call", ["m1:predict", "m1", ":generateContent"])
async def test_other_methods_of_google_are_not_there(client: httpx.AsyncClient, seen: Seen, call: str) -> None:
    answer = await client.post(f"/zen/v1/models/{call}", json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"]
    assert not seen.incoming


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_long_is_refused(client: httpx.AsyncClient, seen: Seen, chunked: bool) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b" " * LIMIT
        yield b"{}"

    content: Any = parts() if chunked else b" " * (LIMIT + 1)
    answer = await client.post("/zen/v1/chat/completions", content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert not seen.incoming


@pytest.mark.parametrize("path", LISTS)
async def test_the_list_of_models_is_what_both_vendors_clients_read(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"x-api-key": "secret"})
    listed = answer.json()
    assert (listed["object"], listed["has_more"], listed["first_id"]) == ("list", False, "m1")
    [entry] = listed["data"]
    assert (entry["id"], entry["object"], entry["type"], entry["owned_by"]) == (
        *("m1", "model", "model", "opencode-cloud"),
    )
    refused = await client.get(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "login_required")
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_browsers_may_call_from_anywhere(client: httpx.AsyncClient) -> None:
    for path in ("/zen/v1/chat/completions", "/zen/v1/models", "/zen/v1/anything"):
        answer = await client.options(path)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
    answer = await client.post("/zen/v1/chat/completions", json=BODY)
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_anything_else_is_a_404_in_json(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/zen/v1/nothing"), ("POST", "/zen/v1/anything/images"), ("PUT", "/inference/x")):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", f"/zen/v1/{path}") for path in ("completions", "images/generations", "moderations")),
        *(("POST", f"/inference/openai/v1/{path}") for path in ("audio/speech", "files", "batches", "rerank")),
        *(
            ("GET", f"/zen/v1/{path}")
            for path in ("responses/resp_1", "responses/resp_1/input_items", "conversations/c")
        ),
        ("DELETE", "/zen/v1/responses/resp_1"),
        ("POST", "/zen/v1/responses/compact"),
        ("POST", "/zen/v1/messages/batches"),
        *(("POST", f"/zen/v1beta/models/m1:{method}") for method in ("predict", "generateAnswer", "", "x" * 5000)),
        *(("GET", f"/zen/v1beta/models/m1:{method}") for method in ("generateContent", "countTokens", "predict")),
        ("GET", "/zen/v1/models/m1:generateContent"),
    ],
)
async def test_what_is_not_offered_says_so_in_a_sentence_before_a_key_or_a_model_is_looked_up(
    client: httpx.AsyncClient, seen: Seen, method: str, path: str
) -> None:
    answer = await client.request(method, path)
    told = answer.json()["error"]
    code = told["details"][0]["reason"] if "details" in told else told["code"]
    assert (answer.status_code, code) == (404, "not_offered")
    assert told["message"].endswith(".")
    assert len(told["message"]) < 300
    assert not seen.incoming


@pytest.mark.parametrize(
    ("path", "headers", "member", "value"),
    [
        ("/zen/v1beta/nothing", {}, "status", "NOT_FOUND"),
        ("/inference/google/v1beta/cachedContents", {}, "status", "NOT_FOUND"),
        ("/zen/v1/messages/nothing", {}, "type", "not_found_error"),
        ("/zen/v1/models/none", {**KEY, "anthropic-version": "2023-06-01"}, "type", "not_found_error"),
        ("/zen/v1/models/none", KEY, "code", "model_not_found"),
        ("/zen/v1beta/models/none", KEY, "status", "NOT_FOUND"),
        ("/zen/v1/nothing", {}, "type", "invalid_request_error"),
    ],
)
async def test_a_404_has_the_shape_of_the_addresses_vendor(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], member: str, value: str
) -> None:
    answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["error"][member]) == (404, value)


@pytest.mark.parametrize("path", ["/zen", "/zen/v1", "/zen/v1beta"])
async def test_the_base_url_answers_clients_that_look_for_it(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.head(path)).status_code == 200


COUNTED: list[tuple[str, dict[str, Any], str]] = [
    ("/zen/v1/messages/count_tokens", BODY, "input_tokens"),
    ("/inference/anthropic/v1/messages/count_tokens", BODY, "input_tokens"),
    ("/zen/v1/responses/input_tokens", {"model": "m1", "input": "Hi"}, "input_tokens"),
    ("/zen/v1beta/models/openai/m1:countTokens", {"contents": [{"parts": [{"text": "Hi"}]}]}, "totalTokens"),
    ("/zen/v1beta/models/m1:countTokens", {"contents": [{"parts": [{"text": "Hi"}]}]}, "totalTokens"),
    (
        "/zen/v1/models/m1:countTokens",
        {"generateContentRequest": {"model": "models/m1", "contents": [{"parts": [{"text": "Hi"}]}]}},
        "totalTokens",
    ),
]


@pytest.mark.parametrize(("path", "body", "member"), COUNTED)
async def test_tokens_are_counted_for_free(
    client: httpx.AsyncClient, rig: Rig, path: str, body: dict[str, Any], member: str
) -> None:
    answer = await client.post(path, json=body, headers=KEY)
    assert answer.status_code == 200
    assert 0 < answer.json()[member] < 20
    assert (rig.asked, rig.ledger.reserved, rig.ledger.events) == ([], [], [])


@pytest.mark.parametrize(("path", "body", "member"), COUNTED)
async def test_a_longer_prompt_has_more_tokens(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], member: str
) -> None:
    longer = json.loads(json.dumps(body).replace("Hi", "word " * 500))
    answer = await client.post(path, json=longer, headers=KEY)
    assert 500 <= answer.json()[member] < 600


async def test_counting_follows_the_rules_of_calls(client: httpx.AsyncClient) -> None:
    path = "/zen/v1/messages/count_tokens"
    unknown = await client.post(path, json={**BODY, "model": "none"}, headers=KEY)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    broken = await client.post(path, content=b"{", headers=KEY)
    assert (broken.status_code, broken.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("header", ["x-session-id", "x-claude-code-session-id", "session-id", "session_id"])
async def test_each_agents_header_names_its_session(client: httpx.AsyncClient, seen: Seen, header: str) -> None:
    await client.post("/zen/v1/chat/completions", json=BODY, headers={header: "s-1"})
    assert seen.incoming[0].session == "s-1"


async def test_another_method_is_a_405_in_json(client: httpx.AsyncClient) -> None:
    answer = await client.get("/zen/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_an_encoded_body_is_refused_by_what_it_is(client: httpx.AsyncClient, seen: Seen, encoding: str) -> None:
    answer = await client.post("/zen/v1/messages", content=b"x", headers={**KEY, "content-encoding": encoding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_encoding")
    assert not seen.incoming


async def test_what_fails_after_the_answer_has_begun_cuts_the_connection(client: httpx.AsyncClient, rig: Rig) -> None:
    rig.script = lambda _: Scripted((sse(delta("some")), RuntimeError("a secret detail")))
    with pytest.raises(RuntimeError):
        await client.post("/zen/v1/chat/completions", json=STREAMED, headers=KEY)
    [event] = rig.ledger.events
    assert (event.outcome, event.error) == ("interrupted", "internal_error")


async def test_a_stream_is_passed_on_as_it_is(client: httpx.AsyncClient, rig: Rig) -> None:
    rig.script = lambda _: Scripted()
    answer = await client.post("/zen/v1/chat/completions", json=STREAMED, headers=KEY)
    assert answer.content == WHOLE
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "parted"),
    [
        ({"user-agent": "claude-cli/2.1.332 (external, cli)"}, False),
        ({"user-agent": "codex_exec/0.171.0"}, False),
        ({"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0"}, True),
        ({"user-agent": "", "x-opencode-session": "ses_1"}, True),
        ({"user-agent": "claude-cli/2.1.332", "x-opencode-session": "ses_1"}, False),
    ],
)
async def test_digits_of_errors_are_parted_for_opencode_only(
    client: httpx.AsyncClient, rig: Rig, headers: dict[str, str], parted: bool
) -> None:
    rig.ledger.refusal = PaymentRequired("budget_exhausted", "Stopped at $500.00.")
    answer = await client.post("/zen/v1/messages", json={**BODY, "max_tokens": 9}, headers={**KEY, **headers})
    told = answer.json()["error"]
    assert (told["type"], told["code"]) == ("billing_error", "budget_exhausted")
    assert ("\u2060" in told["message"]) is parted


@pytest.mark.parametrize(("agent", "parted"), [("opencode/1.18.33", True), ("codex_exec/0.171.0", False)])
async def test_digits_of_an_upstreams_refusal_are_parted_for_opencode_only(
    client: httpx.AsyncClient, rig: Rig, agent: str, parted: bool
) -> None:
    body = b'{"error": {"message": "At most 5000."}}'
    rig.script = lambda _: Scripted((body,), 400, "application/json")
    answer = await client.post("/zen/v1/chat/completions", json=BODY, headers={**KEY, "user-agent": agent})
    assert (answer.content != body) is parted
    assert ("\u2060" in answer.json()["error"]["message"]) is parted


@pytest.mark.parametrize("path", ["/zen/v1/messages", "/zen/v1/chat/completions"])
async def test_every_answer_names_its_request_for_both_vendors_sdks(client: httpx.AsyncClient, path: str) -> None:
    for body in (BODY, {}):
        answer = await client.post(path, json={**body, "max_tokens": 9}, headers=KEY)
        assert answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_what_fails_on_our_side_says_no_more_than_that(client: httpx.AsyncClient, rig: Rig) -> None:
    rig.ledger.refusal = RuntimeError("a secret detail")
    answer = await client.post("/zen/v1/chat/completions", json=BODY, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


async def test_who_leaves_ends_the_call(app: Any, rig: Rig) -> None:
    rig.script = lambda _: Scripted((sse(delta("some")), 60.0))
    sent: list[Any] = []
    came = asyncio.Event()
    messages = [{"type": "http.request", "body": json.dumps(STREAMED).encode(), "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await came.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            came.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/zen/v1/chat/completions",
        "raw_path": b"",
        "query_string": b"",
        "headers": [(b"x-api-key", b"oc_sk_x")],
        "client": ("192.0.2.1", 1),
        "server": ("gateway", 80),
        "scheme": "http",
        "root_path": "",
    }
    async with asyncio.timeout(PATIENCE):
        await app(scope, receive, send)
        await rig.calls.settled()
    [event] = rig.ledger.events
    assert (event.outcome, event.estimated) == ("cancelled", True)
    assert rig.answers[0].closed == [False]
    assert sent[-1].get("more_body") is True
