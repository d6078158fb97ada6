"""Invariant I8: no route lets an actor read or write another workspace's data, or exceed its role or scope.

The matrix comes from the committed OpenAPI document: every kind of actor tries every operation. The expected results
come from `contracts/permissions.py`. A new route needs no line here, unless its path names an object that the
:class:`World` does not have: then the test fails with a message.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from opencode_cloud.contracts.permissions import KeyScope, Permission, Role, allows
from tests.integration.operations import Operation, example, operations
from tests.integration.people import Person
from tests.integration.publisher import new_session_id
from tests.integration.tokens import access_token
from tests.integration.world import CANARY, World, found, must, state
from tests.waiting import PATIENCE

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""The end of ids that no object has."""
OPERATIONS = operations()
UNREACHABLE = ("member_id", "service_account_id")
"""Fields of bodies that name an object. They get an unknown id, so that a permitted request changes nothing."""


@dataclass(frozen=True)
class Actor:
    """A caller. `permits` tells what the caller may do in the workspace; None for callers from outside."""

    http: httpx.Client
    permits: Callable[[Permission], bool] | None
    known: bool = True
    """False if the credential is missing or invalid."""
    person: bool = True
    """False for a key, which is unknown outside its workspace."""


def role_of(role: Role, scope: KeyScope | None = None) -> Callable[[Permission], bool]:
    return lambda permission: allows(role, None if scope is None else frozenset({scope}), permission)


@pytest.fixture(scope="module")
def world(stack: Any) -> World:
    """Return the workspace that all actors try to reach."""
    return found(stack)


@pytest.fixture(scope="module")
def actors(stack: Any, world: World) -> Iterator[dict[str, Actor]]:
    """Return all actors, by the names of :data:`ACTORS`."""
    made = members(stack, world) | strangers(stack, world)
    yield made
    for actor in made.values():
        actor.http.close()


def members(stack: Any, world: World) -> dict[str, Actor]:
    """Return the actors of the workspace: each role by cookie and by token, and keys of each scope."""
    people, workspace = world.people, world.workspace
    actors: dict[str, Actor] = {}
    for role in Role:
        person = people.joined(world.owner, workspace, role, f"{CANARY}-{role}@example.com")
        actors[f"{role}"] = Actor(person.http, role_of(role))
        # Not the same person, because each one leaves at the end.
        person = people.joined(world.owner, workspace, role, f"{CANARY}-{role}-by-token@example.com")
        actors[f"{role} by token"] = Actor(people.with_key(access_token(stack, person)), role_of(role))
    for scope in KeyScope:
        key = world.owner.key(workspace, scopes=[scope])
        actors[f"owner's key for {scope}"] = Actor(people.with_key(key), role_of(Role.OWNER, scope), person=False)
        key = world.owner.key(workspace, scopes=[scope], service_account_id=world.ids["service_account"])
        actors[f"machine's key for {scope}"] = Actor(people.with_key(key), role_of(Role.ADMIN, scope), person=False)
    return actors


def strangers(stack: Any, world: World) -> dict[str, Actor]:
    """Return the actors from outside: without a credential, with an ended one, with one of another workspace."""
    people = world.people
    actors: dict[str, Actor] = {}
    anonymous = httpx.Client(base_url=stack.url, timeout=PATIENCE)
    ended = people.joined(world.owner, world.workspace, Role.ADMIN, f"{CANARY}-ended@example.com")
    ended_token = access_token(stack, ended)
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["SessionsTableName"],
        Key={"pk": {"S": f"session#{ended.session}"}},
        UpdateExpression="SET ended_at = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )
    bearers = {
        "expired token": access_token(stack, world.owner, seconds=-60),
        "token for others": access_token(stack, world.owner, aud="somebody-else"),
        "token of an ended session": ended_token,
        "forged token": access_token(stack, world.owner)[:-8] + "AAAAAAAA",
        "revoked key": revoked_key(world),
        "made-up key": "oc_sk_" + secrets.token_urlsafe(32),
    }
    actors["anonymous"] = Actor(anonymous, None, known=False)
    actors["ended session"] = Actor(ended.http, None, known=False)
    actors |= {name: Actor(people.with_key(bearer), None, known=False) for name, bearer in bearers.items()}
    stranger = people.somebody()
    elsewhere = stranger.found("Elsewhere")
    actors["owner of another workspace"] = Actor(stranger.http, None)
    actors["token of another workspace"] = Actor(people.with_key(access_token(stack, stranger)), None)
    key = stranger.key(elsewhere, scopes=list(KeyScope))
    actors["key of another workspace"] = Actor(people.with_key(key), None, person=False)
    removed = people.joined(world.owner, world.workspace, Role.ADMIN, f"{CANARY}-removed@example.com")
    remove(world, removed)
    actors["removed member"] = Actor(removed.http, None)
    return actors


def revoked_key(world: World) -> str:
    base = f"/api/v1/workspaces/{world.workspace}/keys"
    made = must(world.owner.http.post(base, json={"name": "revoked", "scopes": list(KeyScope)}))
    assert world.owner.http.delete(f"{base}/{made['id']}").status_code == 204
    return made["secret"]


def remove(world: World, person: Person) -> None:
    base = f"/api/v1/workspaces/{world.workspace}/members"
    (found,) = must(world.owner.http.get(base, params={"search": person.email}))["data"]
    assert world.owner.http.delete(f"{base}/{found['id']}").status_code == 204


ACTORS = [
    *(f"{role}{by}" for role in Role for by in ("", " by token")),
    *(f"{holder} key for {scope}" for scope in KeyScope for holder in ("owner's", "machine's")),
    *("anonymous", "ended session", "expired token", "token for others", "token of an ended session", "forged token"),
    *("revoked key", "made-up key"),
    *("owner of another workspace", "token of another workspace", "key of another workspace", "removed member"),
]


def request_of(operation: Operation, ids: Mapping[str, str], version: str) -> dict[str, Any]:
    """Return a request of the documented form for the objects in `ids`."""

    def value(match: re.Match[str]) -> str:
        name = match[1].removesuffix("_id")
        assert name in ids, f"{operation}: the world has no `{name}`"
        return ids[name]

    known = {"email": f"{secrets.token_hex(4)}@example.com", "domain": f"{secrets.token_hex(4)}.example.com"}
    known |= dict.fromkeys(UNREACHABLE, f"nil_{NOWHERE}")
    query = {
        parameter["name"]: FORMS.get(parameter["name"]) or example(parameter["schema"])
        for parameter in operation.parameters
        if parameter["in"] == "query" and parameter.get("required")
    }
    return {
        "method": operation.method,
        "url": re.sub(r"\{(\w+)\}", value, operation.path),
        "params": query,
        "headers": {"If-Match": f'"{version}"'},
        "json": None if operation.body is None else example(operation.body, known=known),
    }


def beyond(ids: Mapping[str, str]) -> dict[str, str]:
    """Return unknown ids of the same kinds in the same workspace, so that a permitted request changes nothing."""
    nothing = {name: f"{value.partition('_')[0]}_{NOWHERE}" for name, value in ids.items()}
    return nothing | {"workspace": ids["workspace"], "version": "999999", "period": "1999-01"}


def expected(operation: Operation, actor: Actor) -> tuple[int, str] | None:
    """Return status and code of the refusal; None if the actor must be admitted."""
    if operation.permission == "none":
        return None
    if operation.permission == "account":
        if not actor.known:
            return 401, "login_required"
        return None if actor.person else (403, "account_required")
    return refused(actor, Permission(operation.permission))


def refused(actor: Actor, permission: Permission) -> tuple[int, str] | None:
    """Return status and code of the workspace's refusal of the actor, or of the permission."""
    if not actor.known:
        return 401, "login_required"
    if actor.permits is None:
        return 404, "workspace_not_found"
    return None if actor.permits(permission) else (403, "not_permitted")


def ask(world: World, actor: Actor, request: dict[str, Any]) -> httpx.Response:
    """Send a request. If the rate limit refuses it, reset the counters and send it again."""
    answer = actor.http.request(**request)
    if answer.status_code == 429:
        forget_requests(world.stack)
        answer = actor.http.request(**request)
    return answer


def forget_requests(stack: Any) -> None:
    """Remove the counters of requests. Keep those of other limits, because other tests may use them."""
    client, table = stack.client("dynamodb"), stack.outputs["SessionsTableName"]
    for page in client.get_paginator("scan").paginate(TableName=table):
        for row in page["Items"]:
            if row["pk"]["S"].startswith(("rate#api#", "rate#refused#")):
                client.delete_item(TableName=table, Key={"pk": row["pk"]})


def problem(operation: Operation, actor: Actor, world: World) -> str | None:
    """Try one operation; return a description of a wrong answer."""
    refusal = expected(operation, actor)
    ids = world.ids if refusal or actor.permits is None else beyond(world.ids)
    answer = ask(world, actor, request_of(operation, ids, "1" if refusal else "999999"))
    said = f"{operation}: {answer.status_code} {answer.text[:300]}"
    if (refusal or actor.permits is None) and CANARY in answer.text + str(answer.headers):
        return f"data of the workspace in {said}"
    if refusal:
        code = answer.json().get("code") if "json" in answer.headers.get("content-type", "") else ""
        return None if (answer.status_code, code) == refusal else f"expected {refusal}, got {said}"
    # A request that breaks the documented form would prove nothing.
    let_in = answer.status_code < 500 and answer.status_code not in (400, 401)
    refused = answer.status_code == 403 and answer.json().get("code") == "not_permitted"
    missing = answer.status_code == 404 and answer.json().get("code") in ("workspace_not_found", "route_not_found")
    # Routes for people that name a workspace check the person's membership themselves.
    if operation.permission == "account":
        missing = refused = False
    return None if let_in and not refused and not missing else f"expected to be let in, got {said}"


FORMS = {"month": "2026-10"}
"""Values of parameters whose form is a pattern, by name."""

LEAVING = next(operation for operation in OPERATIONS if operation.path.endswith("/leave"))
"""The operation removes the member, so each actor runs it last."""


def test_every_operation_says_whom_it_admits() -> None:
    for operation in OPERATIONS:
        assert operation.permission in {"none", "account", *Permission}, str(operation)
        if operation.permission in set(Permission):
            assert "{workspace}" in operation.path, str(operation)


CLIENTS = {
    ("GET", "/api/config"): Permission.REMOTE_CONFIG,
    ("GET", "/api/v2/config"): Permission.REMOTE_CONFIG,
    ("POST", "/api/shares"): Permission.SHARE_OWN,
}
"""Routes of clients, which name the workspace in ``x-org-id``."""


@pytest.mark.parametrize("name", ACTORS)
def test_clients_are_answered_by_the_same_table(world: World, actors: dict[str, Actor], name: str) -> None:
    actor = actors[name]
    for (method, path), permission in CLIENTS.items():
        body = {"sessionID": new_session_id()} if method == "POST" else None
        request = {"method": method, "url": path, "json": body, "headers": {"x-org-id": world.workspace}}
        answer = ask(world, actor, request)
        refusal = refused(actor, permission)
        said = f"{method} {path}: {answer.status_code} {answer.text}"
        if refusal:
            assert (answer.status_code, answer.json()["error"]) == refusal, said
            assert CANARY not in answer.text, said
        else:
            assert answer.status_code == 200, said
            assert path != "/api/config" or CANARY in answer.text, said
    if actor.permits is None:
        assert world.workspace not in actor.http.get("/api/orgs").text


FIRST_OF_EACH = list({(each.permission, each.method): each for each in reversed(OPERATIONS)}.values())
"""One operation of each permission and method."""
IN_DEPTH = (*Role, "anonymous", "owner of another workspace", "machine's key for admin")
"""Actors that try every operation in every run. The others do so in the slow suite: the gate treats all operations of
a permission alike."""


@pytest.mark.parametrize("name", ACTORS)
def test_each_route_answers_each_actor_as_the_table_says(world: World, actors: dict[str, Actor], name: str) -> None:
    assert set(actors) == set(ACTORS)
    check_operations(world, actors[name], OPERATIONS if name in IN_DEPTH else FIRST_OF_EACH)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ACTORS if name not in IN_DEPTH])
def test_every_route_answers_the_other_actors_too(world: World, actors: dict[str, Actor], name: str) -> None:
    check_operations(world, actors[name], OPERATIONS)


def check_operations(world: World, actor: Actor, tried: list[Operation]) -> None:
    before, stays = state(world), actor.permits is not None
    problems = [problem(each, actor, world) for each in tried if not (stays and each is LEAVING)]
    wrong = [each for each in problems if each]
    assert not wrong, "\n".join(wrong)
    assert state(world) == before


@pytest.mark.parametrize("role", Role)
def test_whoever_is_in_a_workspace_may_leave_it(world: World, role: Role) -> None:
    person = world.people.joined(world.owner, world.workspace, role)
    assert problem(LEAVING, Actor(person.http, role_of(role)), world) is None
    assert person.http.get(f"/api/v1/workspaces/{world.workspace}").status_code == 404


def test_what_is_another_workspaces_is_not_found_in_ones_own(world: World) -> None:
    """An owner uses ids of another workspace in their own one: in the path, and in the body."""
    intruder = world.people.somebody()
    own = intruder.found("Intruders")
    ids, before = {**world.ids, "workspace": own}, state(world)
    named = {"member_id": world.ids["member"], "service_account_id": world.ids["service_account"]}
    for operation in OPERATIONS:
        # A session is a name that clients choose. One without calls has sums of nothing.
        others = set(re.findall(r"\{(\w+)\}", operation.path)) - {"workspace", "version", "session"}
        references = {
            name: value for name, value in named.items() if name in (operation.body or {}).get("properties", {})
        }
        if not others and not references:
            continue
        request = request_of(operation, ids, "1")
        if references:
            request["json"] |= references
        answer = intruder.http.request(**request)
        assert answer.status_code == 404, f"{operation}: {answer.status_code} {answer.text}"
        assert CANARY not in answer.text, str(operation)
    assert state(world) == before


def test_who_has_but_their_own_keys_does_not_find_those_of_others(world: World) -> None:
    member = world.people.joined(world.owner, world.workspace, Role.MEMBER)
    address, before = f"/api/v1/workspaces/{world.workspace}/keys", state(world)
    assert must(member.http.get(address))["data"] == []
    key = world.ids["key"]
    for method, path, body in (
        ("GET", f"{address}/{key}", None),
        ("PATCH", f"{address}/{key}", {"name": "mine"}),
        ("POST", f"{address}/{key}/rotate", {}),
        ("DELETE", f"{address}/{key}", None),
    ):
        answer = member.http.request(method, path, json=body)
        assert (answer.status_code, CANARY in answer.text) == (404, False), f"{method} {path}: {answer.text}"
    machine = {"name": "mine", "service_account_id": world.ids["service_account"]}
    assert member.http.post(address, json=machine).status_code in (403, 404)
    assert state(world) == before
