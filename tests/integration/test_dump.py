"""A dump of MySQL, DynamoDB, queues and logs contains no secret of a run."""

import re
import time

import pytest

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role
from tests.integration.dumps import kept, leaks
from tests.integration.people import People
from tests.integration.publisher import new_session_id

WRITTEN_SECONDS = 5.0


@pytest.fixture(scope="module")
def secrets(stack: LocalStack) -> dict[str, str]:
    """Return the secrets of one team's run, by their kind."""
    people = People(stack)
    owner, guest = people.somebody(), people.somebody()
    workspace = owner.found()
    member = people.joined(owner, workspace, Role.MEMBER)
    one = f"/api/v1/workspaces/{workspace}"
    made = owner.http.post(f"{one}/keys", json={"name": "k", "scopes": ["admin"]}).json()
    rotated = owner.http.post(f"{one}/keys/{made['id']}/rotate", json={"overlap_seconds": 3600}).json()
    repeated = {"Idempotency-Key": "a-key-that-comes-twice-0001"}
    twice = [owner.http.post(f"{one}/keys", json={"name": "r"}, headers=repeated).json() for _ in range(2)]
    assert twice[0]["secret"] == twice[1]["secret"]
    provider = "sk-of-the-provider-that-nobody-may-read"
    credential = owner.http.post(f"{one}/providers", json={"provider": "openai", "secret": provider}).json()
    owner.http.put(f"{one}/providers/{credential['id']}", json={"secret": f"{provider}-again"})
    owner.http.post(f"{one}/invitations", json={"email": guest.email, "role": "viewer"})
    link = re.search(r"/invitations/([\w-]+)", stack.mailbox.wait(guest.email).text)
    assert link
    assert guest.http.get(f"/invitations/{link[1]}").status_code == 200
    with people.with_key(rotated["secret"]) as client:
        assert client.get(one).status_code == 200
        shared = client.post("/api/shares", json={"sessionID": new_session_id()}, headers={"x-org-id": workspace})
    time.sleep(WRITTEN_SECONDS)  # audit entries and mails come through queues
    return {
        "owner's cookie": owner.cookie,
        "member's cookie": member.cookie,
        "key": made["secret"],
        "rotated key": rotated["secret"],
        "key of a repeated request": twice[0]["secret"],
        "provider's key": provider,
        "link of an invitation": link[1],
        "share's secret": shared.json()["secret"],
    }


def test_no_secret_is_kept_anywhere(stack: LocalStack, secrets: dict[str, str]) -> None:
    assert leaks(stack, secrets) == []


def test_the_search_would_find_what_is_there(stack: LocalStack, secrets: dict[str, str]) -> None:
    places = dict(kept(stack))
    assert b"key.created" in places["MySQL"]
    assert any(b"session#sid_" in content for content in places.values())
    assert len(secrets) == 8
