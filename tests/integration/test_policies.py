"""Policies and remote config on the deployed stage, as admins publish and clients fetch them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role
from tests.integration.offered import own_config, own_providers
from tests.integration.people import People, Person
from tests.waiting import PATIENCE, until


@pytest.fixture(scope="module")
def people(stack: LocalStack) -> People:
    return People(stack)


class Shop:
    """A workspace with an owner and the owner's key."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.owner = people.somebody()
        self.workspace = self.owner.found()
        self.client = people.with_key(self.owner.key(self.workspace, scopes=["inference"]))

    def publish(self, kind: str, document: Any, version: int, who: Person | None = None) -> httpx.Response:
        address = f"/api/v1/workspaces/{self.workspace}/{kind}"
        wish, read = {kind: document}, {"If-Match": f'"{version}"'}
        return (who or self.owner).http.put(address, json=wish, headers=read)

    def fetch(self, **headers: str) -> httpx.Response:
        return self.client.get("/api/config", headers=headers)


@pytest.fixture
def shop(people: People) -> Iterator[Shop]:
    made = Shop(people)
    yield made
    made.client.close()


def test_what_is_published_is_served_at_once_and_what_is_unchanged_is_not_sent_again(shop: Shop) -> None:
    assert own_config(shop.fetch()) == {}
    assert shop.publish("configuration", {"username": "acme"}, 0).headers["etag"] == '"1"'
    first = shop.fetch()
    assert own_config(first) == {"username": "acme"}
    assert first.headers["cache-control"] == "private, no-cache"
    assert shop.fetch(**{"If-None-Match": first.headers["etag"]}).status_code == 304
    assert shop.publish("policy", {"share": {"mode": "off"}}, 0).status_code == 200
    second = shop.fetch(**{"If-None-Match": first.headers["etag"]})
    assert own_config(second) == {"username": "acme", "share": "disabled"}


def test_clients_of_the_second_generation_are_told_the_providers(shop: Shop) -> None:
    gateway = f"{shop.owner.http.base_url}/zen/v1"
    options = {"baseURL": gateway, "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}"}
    provider = {"acme": {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m1": {"name": "M1"}}}}
    assert shop.publish("configuration", {"provider": provider}, 0).status_code == 200
    told = shop.client.get("/api/v2/config").json()
    assert own_providers(told["providers"]) == {
        "acme": {
            "package": "@ai-sdk/openai-compatible",
            "settings": {"baseURL": gateway},
            "headers": {"x-org-id": shop.workspace},
            "models": {"m1": {"name": "M1"}},
        }
    }


def test_a_key_says_its_workspace_and_may_name_no_other(shop: Shop) -> None:
    shop.publish("configuration", {"username": "acme"}, 0)
    assert shop.fetch(**{"x-org-id": shop.workspace}).status_code == 200
    assert shop.fetch(**{"x-org-id": "wrk_01AAAAAAAAAAAAAAAAAAAAAAAA"}).status_code == 404


def test_a_person_must_name_a_workspace_that_they_are_in(shop: Shop) -> None:
    shop.publish("configuration", {"username": "acme"}, 0)
    headers = {"x-org-id": shop.workspace}
    assert shop.owner.http.get("/api/config", headers=headers).status_code == 200
    assert shop.owner.http.get("/api/config").json()["error"] == "workspace_required"
    stranger = shop.people.somebody()
    assert stranger.http.get("/api/config", headers=headers).status_code == 404
    assert httpx.get(f"{shop.owner.http.base_url}/api/config", headers=headers, timeout=PATIENCE).status_code == 401


def test_who_is_removed_is_refused_within_moments(shop: Shop) -> None:
    shop.publish("configuration", {"username": "acme"}, 0)
    member = shop.people.joined(shop.owner, shop.workspace, Role.MEMBER)
    theirs = shop.people.with_key(member.key(shop.workspace, scopes=["inference"]))
    assert theirs.get("/api/config").status_code == 200
    members = shop.owner.http.get(f"/api/v1/workspaces/{shop.workspace}/members").json()["data"]
    (one,) = [each for each in members if each["email"] == member.email]
    removed = shop.owner.http.delete(f"/api/v1/workspaces/{shop.workspace}/members/{one['id']}")
    assert removed.status_code == 204
    until(lambda: theirs.get("/api/config").status_code == 401)
    assert member.http.get("/api/config", headers={"x-org-id": shop.workspace}).status_code == 404


def test_roles_decide_who_reads_and_who_publishes(shop: Shop) -> None:
    for role, reads, publishes in ((Role.ADMIN, 200, 200), (Role.MEMBER, 403, 403), (Role.VIEWER, 403, 403)):
        person = shop.people.joined(shop.owner, shop.workspace, role)
        address = f"/api/v1/workspaces/{shop.workspace}/configuration"
        assert person.http.get(address).status_code == reads
        assert shop.publish("configuration", {"username": "acme"}, 0, person).status_code == publishes
        assert person.http.get(f"/api/v1/workspaces/{shop.workspace}/policy").status_code == 200


def test_no_key_publishes_and_only_an_owner_publishes_programs(shop: Shop) -> None:
    address = f"/api/v1/workspaces/{shop.workspace}/configuration"
    programs = {"plugin": ["acme-plugin"]}
    with shop.people.with_key(shop.owner.key(shop.workspace, scopes=["admin"])) as client:
        wish = {"configuration": {"username": "acme"}}
        assert client.put(address, json=wish, headers={"If-Match": '"0"'}).json()["code"] == "not_permitted"
        assert client.post(f"{address}/check", json={"configuration": programs}).json()["programs"]
    admin = shop.people.joined(shop.owner, shop.workspace, Role.ADMIN)
    assert shop.publish("configuration", programs, 0, admin).json()["code"] == "owner_required"
    assert shop.publish("configuration", programs, 0).status_code == 200
    assert own_config(shop.fetch()) == programs


def test_an_invalid_document_names_its_places_and_changes_nothing(shop: Shop) -> None:
    shop.publish("configuration", {"username": "acme"}, 0)
    refused = shop.publish("configuration", {"share": "sometimes"}, 1)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_document")
    assert [each["field"] for each in refused.json()["errors"]] == ["/share"]
    assert own_config(shop.fetch()) == {"username": "acme"}


def test_what_was_published_is_on_record(shop: Shop) -> None:
    shop.publish("policy", {"share": {"mode": "off"}}, 0)
    entries = shop.owner.http.get(f"/api/v1/workspaces/{shop.workspace}/audit").json()["data"]
    (entry,) = [each for each in entries if each["action"] == "policy.published"]
    assert entry["actor"]["name"] == shop.owner.email
    assert {"path": "/share/mode", "change": "changed", "before": "link", "after": "off"} in entry["after"]["changes"]


def test_the_well_known_document_is_served_without_any_function(stack: LocalStack) -> None:
    answer = httpx.get(f"{stack.url}/.well-known/opencode", timeout=PATIENCE)
    assert answer.headers["content-type"] == "application/json"
    assert "stale-if-error" in answer.headers["cache-control"]
    assert set(answer.json()) == {"auth", "config"}
