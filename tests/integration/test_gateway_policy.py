"""Calls that a workspace does not permit are refused in every form, and reach no upstream."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from opencode_cloud.contracts.permissions import Role
from tests.integration.people import Person
from tests.integration.tokens import access_token
from tests.upstreams import Script
from tests.upstreams.world import PROVIDER, REQUEST, UPSTREAM_OF, Shop, World
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("gateway")

DENIED, PERMITTED = "scripted-chat", "scripted-messages"
PATHS = {
    "chat": ("/zen/v1/chat/completions", "/inference/openai/v1/chat/completions"),
    "responses": ("/zen/v1/responses", "/inference/openai/v1/responses"),
    "messages": ("/zen/v1/messages", "/inference/anthropic/v1/messages"),
    "generate": ("/zen/v1/models/{}:generateContent", "/inference/google/v1beta/models/{}:generateContent"),
}
EVERYWHERE = [(format_, path) for format_, paths in PATHS.items() for path in paths]


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    """Create a workspace whose policy denies one model."""
    made = world.shop()
    policy = {"models": {"deny": [f"{PROVIDER}/{DENIED}", f"{PROVIDER}/steady-*"]}}
    answer = made.owner.http.put(f"{made.path}/policy", json={"policy": policy}, headers={"If-Match": '"0"'})
    assert answer.status_code == 200, answer.text
    until(lambda: call(made, "chat", PATHS["chat"][0], DENIED).status_code == 403)
    return made


def body_of(format_: str, model: str, prompt: str) -> dict[str, Any]:
    message = {"role": "user", "content": prompt}
    match format_:
        case "responses":
            return {"model": model, "input": prompt}
        case "generate":
            return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
        case _:
            return {"model": model, "max_tokens": 50, "messages": [message]}


def call(
    shop: Shop, format_: str, path: str, model: str, headers: dict[str, str] | None = None, script: Script | None = None
) -> httpx.Response:
    """Call a model, and check that an upstream got the request if and only if the call was answered."""
    script = script or Script()
    sent = {"authorization": f"Bearer {shop.key}"} if headers is None else headers
    sent = {**sent, REQUEST: script.tag}
    answer = shop.post(path.format(model), body_of(format_, model, script.prompt()), sent)
    assert bool(shop.world.upstreams.of(script)) == answer.is_success, answer.text
    return answer


@pytest.mark.parametrize(("format_", "path"), EVERYWHERE)
def test_a_denied_model_is_refused_in_every_format_at_every_address(shop: Shop, format_: str, path: str) -> None:
    answer = call(shop, format_, path, DENIED)
    assert answer.status_code == 403
    assert "not permitted by the workspace's policy" in answer.json()["error"]["message"]
    assert call(shop, format_, path, PERMITTED).status_code == 200


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key", "api-key"])
def test_a_key_counts_the_same_in_every_header(shop: Shop, header: str) -> None:
    sent = {header: f"Bearer {shop.key}" if header == "authorization" else shop.key}
    assert call(shop, "chat", PATHS["chat"][0], DENIED, sent).status_code == 403
    assert call(shop, "chat", PATHS["chat"][0], PERMITTED, sent).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "scripted-alias",
        "SCRIPTED-CHAT",
        "Scripted-Chat",
        f"{PROVIDER}/{DENIED}",
        f" {DENIED}",
        f"{DENIED} ",
        f"{DENIED}\u200b",
        f"{DENIED}\x00",
        "scripted‐chat",  # noqa: RUF001 - another hyphen
        "scripted-cha\u0074\u0301",
        f"models/{DENIED}",
        f"./{DENIED}",
        f"{PERMITTED}/../{DENIED}",
        "m",
        "chat",
    ],
)
def test_other_spellings_of_a_denied_model_lead_nowhere(shop: Shop, name: str) -> None:
    for format_ in ("chat", "messages", "responses"):
        assert call(shop, format_, PATHS[format_][0], name).status_code in {400, 403, 404}


@pytest.mark.parametrize(
    "path",
    [
        "/zen/v1/chat/completions/",
        "/zen/v1//chat/completions",
        "//zen/v1/chat/completions",
        "/zen/v1/chat%2Fcompletions",
        "/zen/v1/chat/%63ompletions",
        "/ZEN/V1/CHAT/COMPLETIONS",
        "/zen/v1/../v1/chat/completions",
        "/zen/v1/./chat/completions",
        "/zen/v1/chat/completions;a=b",
        "/zen/v1/chat/completions?model=scripted-messages",
        "/zen/go/v1/chat/completions",
        "/inference/v1/chat/completions",
        "/inference/custom/x/chat/completions",
    ],
)
def test_other_spellings_of_an_address_let_nothing_through(shop: Shop, path: str) -> None:
    script = Script()
    request = httpx.Request(
        "POST",
        shop.world.stack.url,
        json=body_of("chat", DENIED, script.prompt()),
        headers={"authorization": f"Bearer {shop.key}"},
    )
    raw_path = path.encode()
    request.url = request.url.copy_with(raw_path=raw_path)
    with httpx.Client(timeout=PATIENCE) as client:
        answer = client.send(request)
    assert answer.status_code in {307, 308, 400, 403, 404, 405}
    assert shop.world.upstreams.of(script) == []


@pytest.mark.parametrize("model", [DENIED, DENIED.upper(), "scripted%2Dchat", "scripted-messages%2F..%2Fscripted-chat"])
def test_a_denied_model_in_the_path_is_refused(shop: Shop, model: str) -> None:
    for path in PATHS["generate"]:
        assert call(shop, "generate", path, model).status_code in {400, 403, 404}


@pytest.mark.parametrize(("first", "second"), [(PERMITTED, DENIED), (DENIED, PERMITTED)])
def test_two_models_in_one_request_are_judged_as_the_upstream_would_read_them(
    shop: Shop, first: str, second: str
) -> None:
    script = Script()
    messages = json.dumps([{"role": "user", "content": script.prompt()}])
    answer = httpx.post(
        f"{shop.world.stack.url}{PATHS['chat'][0]}",
        content=f'{{"model": "{first}", "messages": {messages}, "model": "{second}"}}',
        headers={"authorization": f"Bearer {shop.key}", "content-type": "application/json"},
        timeout=PATIENCE,
    )
    assert answer.status_code in ({200} if second == PERMITTED else {400, 403})
    assert {record.upstream for record in shop.world.upstreams.of(script)} <= {UPSTREAM_OF["messages"]}


def test_the_list_holds_what_is_permitted(shop: Shop) -> None:
    for path in ("/zen/v1/models", "/inference/v1/models"):
        listed = httpx.get(f"{shop.world.stack.url}{path}", headers={"x-api-key": shop.key}, timeout=PATIENCE).json()
        names = {each["id"] for each in listed["data"]}
        assert PERMITTED in names
        assert not {name for name in names if name == DENIED or name.startswith("steady-")}


def test_a_key_is_bound_to_its_models(shop: Shop) -> None:
    key = shop.owner.key(shop.workspace, scopes=["inference"], models=[f"{PROVIDER}/scripted-g*"])
    headers = {"x-api-key": key}
    assert call(shop, "chat", PATHS["chat"][0], "scripted-generate", headers).status_code == 200
    refused = call(shop, "messages", PATHS["messages"][0], PERMITTED, headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_permitted")
    assert "this key" in refused.json()["error"]["message"]


def test_a_key_without_the_scope_calls_no_models(shop: Shop) -> None:
    headers = {"x-api-key": shop.owner.key(shop.workspace, scopes=["usage"])}
    assert call(shop, "chat", PATHS["chat"][0], PERMITTED, headers).status_code == 403


def test_a_key_is_bound_to_its_networks(shop: Shop) -> None:
    far = {"x-api-key": shop.owner.key(shop.workspace, scopes=["inference"], networks=["203.0.113.0/24"])}
    assert call(shop, "chat", PATHS["chat"][0], PERMITTED, far).status_code == 401
    pretending = {**far, "x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    assert call(shop, "chat", PATHS["chat"][0], PERMITTED, pretending).status_code == 401


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer public"}, {"x-api-key": "oc_sk_" + "A" * 43}])
def test_nobody_calls_models(shop: Shop, headers: dict[str, str]) -> None:
    for format_, path in EVERYWHERE:
        assert call(shop, format_, path, PERMITTED, headers).status_code == 401


class Token:
    """A client with the access token of a person."""

    def __init__(self, shop: Shop, person: Person) -> None:
        self.headers = {"authorization": f"Bearer {access_token(shop.world.stack, person)}"}

    def call(self, shop: Shop, workspace: str, model: str = PERMITTED) -> int:
        sent = {**self.headers, **({"x-org-id": workspace} if workspace else {})}
        return call(shop, "chat", PATHS["chat"][0], model, sent).status_code


def test_a_token_calls_models_of_the_workspaces_that_its_holder_is_in(shop: Shop, world: World) -> None:
    people = world.people
    member = Token(shop, people.joined(shop.owner, shop.workspace, Role.MEMBER))
    stranger = people.somebody()
    elsewhere = stranger.found()
    assert member.call(shop, shop.workspace) == 200
    assert member.call(shop, shop.workspace, DENIED) == 403
    assert member.call(shop, "") == 401
    assert member.call(shop, elsewhere) == 404
    assert Token(shop, stranger).call(shop, shop.workspace) == 404
    assert Token(shop, stranger).call(shop, elsewhere) == 200


def test_a_key_stays_in_its_workspace_whatever_is_named(shop: Shop, world: World) -> None:
    elsewhere = world.shop()
    sent = {"x-api-key": elsewhere.key, "x-org-id": shop.workspace}
    assert call(shop, "chat", PATHS["chat"][0], PERMITTED, sent).status_code in {403, 404}
    script = Script()
    assert call(shop, "chat", PATHS["chat"][0], DENIED, {"x-api-key": elsewhere.key}, script).status_code == 200
    assert elsewhere.event(script).workspace_id == elsewhere.workspace
    assert shop.events_of(script) == []


def test_what_is_taken_away_is_refused_within_moments(world: World) -> None:
    shop = world.shop()
    person = world.people.joined(shop.owner, shop.workspace, Role.MEMBER)
    token, own = Token(shop, person), {"x-api-key": person.key(shop.workspace, scopes=["inference"])}

    def with_key(headers: dict[str, str]) -> int:
        return call(shop, "chat", PATHS["chat"][0], PERMITTED, headers).status_code

    assert [token.call(shop, shop.workspace), with_key(own), with_key({"x-api-key": shop.key})] == [200] * 3
    assert shop.owner.http.delete(f"{shop.path}/keys/{shop.key_id}").status_code == 204
    until(lambda: with_key({"x-api-key": shop.key}) == 401)
    members = shop.owner.http.get(f"{shop.path}/members").json()["data"]
    member = next(each["id"] for each in members if each["email"] == person.email)
    assert shop.owner.http.delete(f"{shop.path}/members/{member}").status_code == 204
    until(lambda: with_key(own) == 401)
    until(lambda: token.call(shop, shop.workspace) == 404)
