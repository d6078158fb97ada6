"""Workspaces over HTTP on the deployed stage: rights end everywhere within seconds, and workspaces are isolated."""

import time
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.keys import provider_credentials as table
from opencode_cloud.schema.workspaces import workspaces
from tests.integration.people import People, Person
from tests.integration.publisher import new_session_id
from tests.provider_stand_in import ProviderStandIn
from tests.waiting import PATIENCE, until

OVERLAP_SECONDS = 30  # long enough for a busy machine to send two requests


@pytest.fixture(scope="module")
def people(stack: LocalStack) -> People:
    return People(stack)


@pytest.fixture
def owner(people: People) -> Person:
    return people.somebody()


def test_a_team_is_built_and_its_member_removed(people: People, owner: Person) -> None:
    workspace = owner.found()
    bob = people.joined(owner, workspace, Role.MEMBER)
    one = f"/api/v1/workspaces/{workspace}"
    with people.with_key(bob.key(workspace, scopes=["usage"])) as machine:
        assert machine.get(one).status_code == 200
        assert bob.http.get(one).json()["id"] == workspace
        (member,) = owner.http.get(f"{one}/members", params={"search": bob.email}).json()["data"]

        assert owner.http.delete(f"{one}/members/{member['id']}").status_code == 204
        until(lambda: machine.get(one).status_code == 401)
        until(lambda: bob.http.get(one).status_code == 404)
    assert bob.http.get("/api/v1/workspaces").json()["data"] == []
    # The old key stays revoked after the member returns.
    people_again = owner.http.post(f"{one}/invitations", json={"email": bob.email, "role": "viewer"}).json()
    assert bob.http.post(f"/api/v1/invitations/{people_again['id']}/accept").status_code == 200
    until(lambda: bob.http.get(one).status_code == 200)
    assert owner.http.get(f"{one}/members", params={"search": bob.email}).json()["data"][0]["id"] == member["id"]


def test_a_deleted_workspace_is_closed_to_all_and_can_be_restored(people: People, owner: Person) -> None:
    workspace = owner.found()
    bob = people.joined(owner, workspace, Role.ADMIN)
    one = f"/api/v1/workspaces/{workspace}"
    with people.with_key(owner.key(workspace, scopes=["usage"])) as machine:
        tag = owner.http.get(one).headers["etag"]
        assert bob.http.delete(one, headers={"If-Match": tag}).status_code == 403
        assert owner.http.delete(one, headers={"If-Match": tag}).status_code == 200
        for client in (owner.http, bob.http):
            until(lambda client=client: client.get(one).status_code == 404)
        until(lambda: machine.get(one).status_code == 401)
        assert owner.http.post(f"{one}/restore").status_code == 200
        until(lambda: machine.get(one).status_code == 200)
        until(lambda: bob.http.get(one).status_code == 200)


def test_a_revoked_key_and_a_disabled_service_account_are_refused(people: People, owner: Person) -> None:
    workspace = owner.found()
    one = f"/api/v1/workspaces/{workspace}"
    machine = owner.http.post(f"{one}/service-accounts", json={"name": "ci"}).json()["id"]
    wish = {"name": "ci", "scopes": ["usage"], "service_account_id": machine}
    made = owner.http.post(f"{one}/keys", json=wish).json()
    with people.with_key(made["secret"]) as client:
        assert client.get(one).status_code == 200
        assert client.get(f"{one}/keys").status_code == 403
        owner.http.patch(f"{one}/service-accounts/{machine}", json={"disabled": True})
        until(lambda: client.get(one).status_code == 401)
        owner.http.patch(f"{one}/service-accounts/{machine}", json={"disabled": False})
        until(lambda: client.get(one).status_code == 200)
        assert owner.http.delete(f"{one}/keys/{made['id']}").status_code == 204
        until(lambda: client.get(one).status_code == 401)


def test_a_key_is_bound_to_its_networks(people: People, owner: Person) -> None:
    workspace = owner.found()
    one = f"/api/v1/workspaces/{workspace}"
    far = owner.key(workspace, scopes=["usage"], networks=["203.0.113.0/24"])
    near = owner.key(workspace, scopes=["usage"], networks=["127.0.0.0/8", "::1/128"])
    with people.with_key(far) as refused, people.with_key(near) as let_in:
        assert refused.get(one).status_code == 401
        assert let_in.get(one).status_code == 200


@pytest.mark.slow
def test_a_rotated_key_works_until_its_overlap_is_over(people: People, owner: Person) -> None:
    workspace = owner.found()
    one = f"/api/v1/workspaces/{workspace}"
    old = owner.http.post(f"{one}/keys", json={"name": "k", "scopes": ["usage"]}).json()
    new = owner.http.post(f"{one}/keys/{old['id']}/rotate", json={"overlap_seconds": OVERLAP_SECONDS}).json()
    with people.with_key(old["secret"]) as before, people.with_key(new["secret"]) as after:
        assert after.get(one).status_code == 200
        assert before.get(one).status_code == 200
        time.sleep(OVERLAP_SECONDS)
        until(lambda: before.get(one).status_code == 401)
        assert after.get(one).status_code == 200


def test_nothing_of_one_workspace_is_reachable_from_another(people: People, owner: Person) -> None:
    mine, eve = owner.found("Mine"), people.somebody()
    theirs = eve.found("Theirs")
    one, other = f"/api/v1/workspaces/{mine}", f"/api/v1/workspaces/{theirs}"
    things = {
        "members": owner.http.get(f"{one}/members").json()["data"][0]["id"],
        "invitations": owner.http.post(f"{one}/invitations", json={"email": "x@example.com"}).json()["id"],
        "domains": owner.http.post(f"{one}/domains", json={"domain": "corp.example"}).json()["id"],
        "service-accounts": owner.http.post(f"{one}/service-accounts", json={"name": "ci"}).json()["id"],
        "keys": owner.http.post(f"{one}/keys", json={"name": "k"}).json()["id"],
        "providers": owner.http.post(
            f"{one}/providers", json={"provider": "openai", "secret": "sk-of-the-team-0001"}
        ).json()["id"],
    }
    for kind, thing in things.items():
        # With the path of the actor's own workspace, and with that of the other one.
        for path in (f"{one}/{kind}/{thing}", f"{other}/{kind}/{thing}"):
            assert eve.http.get(path).status_code == 404, path
            assert eve.http.delete(path).status_code == 404, path
        assert owner.http.get(f"{one}/{kind}/{thing}").status_code == 200


def test_requests_without_a_valid_credential_are_refused(stack: LocalStack, people: People, owner: Person) -> None:
    workspace = owner.found()
    path = f"{stack.url}/api/v1/workspaces/{workspace}"
    assert httpx.get(path, timeout=PATIENCE).status_code == 401
    assert httpx.get(path, headers={"Authorization": "Bearer oc_sk_nonsense"}, timeout=PATIENCE).status_code == 401
    assert httpx.get(path, cookies={"opencode_session": "nonsense"}, timeout=PATIENCE).status_code == 401
    # A page of another site cannot act with the browser's cookie.
    cookies = {"opencode_session": owner.cookie}
    foreign = httpx.post(f"{path}/leave", cookies=cookies, headers={"Sec-Fetch-Site": "cross-site"}, timeout=PATIENCE)
    assert foreign.status_code == 403
    assert httpx.post(f"{path}/leave", cookies=cookies, timeout=PATIENCE).status_code == 403


def test_a_providers_key_is_sealed_and_never_answered(stack: LocalStack, owner: Person) -> None:
    workspace = owner.found()
    all_ = f"/api/v1/workspaces/{workspace}/providers"
    secret = "sk-ant-a-secret-of-the-team-4711"
    made = owner.http.post(all_, json={"provider": "anthropic", "name": "main", "secret": secret})
    assert made.status_code == 201, made.text
    one = f"{all_}/{made.json()['id']}"
    assert made.json()["suffix"] == "4711"
    assert secret not in made.text + owner.http.get(one).text + owner.http.get(all_).text
    assert secret.encode() not in stack.database.dump()
    assert owner.http.post(all_, json={"provider": "anthropic", "name": "main", "secret": secret}).status_code == 409
    replaced = owner.http.put(one, json={"secret": "sk-ant-another-secret-0815"})
    assert replaced.json()["suffix"] == "0815"
    assert owner.http.delete(one).status_code == 204
    assert owner.http.get(one).status_code == 404


def test_a_providers_key_is_tested_without_being_shown(owner: Person) -> None:
    workspace = owner.found()
    all_ = f"/api/v1/workspaces/{workspace}/providers"
    with ProviderStandIn() as provider:
        wish = {"provider": "openai-compatible", "base_url": provider.url, "secret": "good-key"}
        one = f"{all_}/{owner.http.post(all_, json=wish).json()['id']}"
        tested = owner.http.post(f"{one}/test")
        assert (tested.status_code, tested.json()["test_result"]) == (200, "works"), tested.text
        assert "good-key" not in tested.text
        owner.http.put(one, json={"secret": "bad-key-0", "base_url": provider.url})
        assert owner.http.get(one).json()["test_result"] is None
        assert owner.http.post(f"{one}/test").json()["test_result"] == "refused"


def test_a_key_that_is_copied_to_another_workspace_cannot_be_opened_there(
    stack: LocalStack, people: People, owner: Person
) -> None:
    thief = people.somebody()
    with ProviderStandIn() as provider:
        wish = {"provider": "openai-compatible", "base_url": provider.url, "secret": "good-key"}
        theirs = owner.http.post(f"/api/v1/workspaces/{owner.found()}/providers", json=wish).json()["id"]
        mine = f"/api/v1/workspaces/{thief.found()}/providers"
        one = thief.http.post(mine, json={**wish, "secret": "bad-key-0"}).json()["id"]
        with Database(stack.database.access.url()).transaction() as connection:
            row = connection.execute(select(table).where(table.c.id == theirs)).one()
            stolen = {"sealed": row.sealed, "data_key": row.data_key}
            connection.execute(update(table).where(table.c.id == one).values(stolen))
        tested = thief.http.post(f"{mine}/{one}/test")
        assert (tested.status_code, tested.json()["code"]) == (503, "sealing_unavailable")
        assert provider.seen == []


def test_a_key_says_when_it_was_last_used(people: People, owner: Person) -> None:
    workspace = owner.found()
    one = f"/api/v1/workspaces/{workspace}"
    made = owner.http.post(f"{one}/keys", json={"name": "k", "scopes": ["usage"]}).json()
    assert made["last_used_at"] is None
    with people.with_key(made["secret"]) as client:
        assert client.get(one).status_code == 200
    assert owner.http.get(f"{one}/keys/{made['id']}").json()["last_used_at"] is not None


def test_after_its_grace_period_a_workspace_is_gone_with_its_shares(
    stack: LocalStack, people: People, owner: Person
) -> None:
    workspace, kept = owner.found("Gone"), owner.found("Kept")
    one = f"/api/v1/workspaces/{workspace}"
    with people.with_key(owner.key(workspace, scopes=["admin"])) as client:
        shared = client.post("/api/shares", json={"sessionID": new_session_id()}, headers={"x-org-id": workspace})
        assert shared.status_code == 200, shared.text
    share = f"/api/share/{shared.json()['id']}/data"
    deleted = owner.http.delete(one, headers={"If-Match": owner.http.get(one).headers["etag"]})
    assert deleted.status_code == 200, deleted.text
    past = utc_now() - timedelta(seconds=1)
    database = Database(stack.database.access.url())
    with database.transaction() as connection:
        connection.execute(update(workspaces).where(workspaces.c.id == workspace).values(purge_after=past))

    daily = stack.client("lambda").invoke(
        FunctionName=stack.outputs["RelayFunctionName"], Payload=b'{"source":"schedule"}'
    )
    assert "FunctionError" not in daily, daily["Payload"].read()
    with database.transaction() as connection:
        assert connection.execute(select(workspaces).where(workspaces.c.id == workspace)).first() is None
        assert connection.execute(select(keys).where(keys.c.workspace_id == workspace)).first() is None
    assert owner.http.post(f"{one}/restore").status_code == 404
    assert [each["id"] for each in owner.http.get("/api/v1/workspaces").json()["data"]] == [kept]
    until(lambda: httpx.get(f"{stack.url}{share}", timeout=PATIENCE).status_code == 410)
