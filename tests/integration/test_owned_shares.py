"""Shares with owners: initial access by policy, publishing by secret, and changes and removal by owners and admins."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.audit import audit_entries
from tests.integration.projected import OwnedShare, People, share_as
from tests.integration.publisher import Publisher, message, new_session_id, part, session
from tests.waiting import PATIENCE, until


@pytest.fixture
def people(stack: Any) -> People:
    return People(stack)


def read(share: OwnedShare, headers: dict[str, str] | None = None) -> int:
    return share.request("GET", f"/api/share/{share.id}/data", headers).status_code


def listed(share: OwnedShare, by: Any, **query: str) -> list[dict[str, Any]]:
    address = f"/api/v1/workspaces/{share.workspace}/shares"
    answer = share.request("GET", address, {"authorization": f"Bearer {by.token}"}, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def audited(stack: Any, action: str, share_id: str) -> dict[str, Any]:
    """Wait for the entry of the audit trail, which comes through a queue, and return it."""
    database = Database(stack.database.access.url())
    found = audit_entries.select().where(audit_entries.c.target_id == share_id, audit_entries.c.action == action)

    def entry() -> dict[str, Any]:
        with database.transaction() as connection:
            return dict(connection.execute(found).mappings().first() or {})

    return until(entry)


def test_a_member_shares_and_syncs_and_owns_the_share(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    assert share.sync(session(share.session_id, "Fix the build"), message("1")).status_code == 200
    assert read(share) == 200, "the policy allows links"
    (only,) = listed(share, owner)
    assert only["id"] == share.id
    assert (only["owner"], only["mode"], only["title"]) == (owner.account, "link", "Fix the build")
    assert only["views"] == 1
    assert only["expires_at"] is None
    assert share_as(stack, owner, workspace, share.session_id).secret == share.secret, "create is idempotent"


@pytest.mark.parametrize(("mode", "anonymous"), [("link", 200), ("workspace", 401)])
def test_the_policy_decides_how_wide_a_new_share_is(stack: Any, people: People, mode: str, anonymous: int) -> None:
    workspace = people.workspace(share_mode=mode)
    share = share_as(stack, people.member(workspace), workspace, new_session_id())
    share.sync(part("1"))
    assert read(share) == anonymous
    assert read(share, people.member(workspace, "viewer").client(workspace)) == 200


def test_where_sharing_is_off_nothing_is_shared_nor_read_and_nothing_is_lost(stack: Any, people: People) -> None:
    workspace = people.workspace(share_mode="off")
    owner = people.member(workspace)
    refused = httpx.post(
        f"{stack.url}/api/shares",
        headers=owner.client(workspace),
        json={"sessionID": new_session_id()},
        timeout=PATIENCE,
    )
    assert (refused.status_code, refused.json()["error"]) == (403, "sharing_off")
    people.policy(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    assert share.sync(part("1")).status_code == 200
    people.policy(workspace, share_mode="off")
    for resource in ("share", "shares"):
        answer = share.sync(part("2"), resource=resource)
        assert (answer.status_code, answer.json()["error"]) == (403, "sharing_off")
    assert read(share) == 404
    assert read(share, owner.client(workspace)) == 404
    people.policy(workspace)
    assert read(share) == 200


def test_a_share_lives_no_longer_than_the_policy_lets_it(stack: Any, people: People) -> None:
    workspace = people.workspace(share_lifetime_seconds=3600)
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    (only,) = listed(share, owner)
    assert only["expires_at"] is not None
    for longer in (None, "2100-01-01T00:00:00Z"):
        refused = share.change(owner, expires_at=longer)
        assert (refused.status_code, refused.json()["code"]) == (403, "lifetime_not_allowed")
    sooner = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    assert share.change(owner, expires_at=sooner).json()["expires_at"] == sooner
    assert share.change(owner, expires_at="2020-01-01T00:00:00Z").json()["code"] == "invalid_expiry"


def test_an_anonymous_share_goes_on_under_its_owner_after_login(stack: Any, people: People) -> None:
    workspace = people.workspace(share_mode="workspace", share_lifetime_seconds=3600)
    owner = people.member(workspace)
    anonymous = Publisher.create(stack.url)
    anonymous.must_sync(session(anonymous.session_id), part("1"))
    share = OwnedShare(stack.url, owner, workspace, anonymous.id, anonymous.secret, anonymous.session_id)
    wrong = httpx.post(
        f"{stack.url}/api/shares/{share.id}/sync",
        headers=people.member(workspace).client(workspace),
        json={"secret": "wrong", "data": [part("2")]},
        timeout=PATIENCE,
    )
    assert wrong.status_code == 403, "without the secret there is no claim"
    assert read(share) == 200
    assert share.sync(part("2")).status_code == 200
    assert read(share) == 401
    (only,) = listed(share, owner)
    assert (only["id"], only["mode"], only["owner"]) == (share.id, "workspace", owner.account)
    assert only["expires_at"] is not None
    assert audited(stack, "share.claimed", share.id)["actor_name"] == f"{owner.account}@example.com"
    refused = share.sync(part("3"), resource="share")
    assert refused.status_code == 403, refused.text
    assert refused.json()["error"] == "wrong_secret", "others may hold the old secret"
    again = share_as(stack, owner, workspace, share.session_id)
    assert again.id == share.id
    assert again.secret != share.secret
    assert again.sync(part("4"), resource="share").status_code == 200, "after a logout, by the new secret"
    assert Publisher.create(stack.url, share.session_id).id != share.id


def test_the_session_id_of_an_owned_share_gives_nothing_of_it(stack: Any, people: People) -> None:
    workspace, elsewhere = people.workspace(), people.workspace()
    share = share_as(stack, people.member(workspace), workspace, new_session_id())
    others = [
        Publisher.create(stack.url, share.session_id),
        share_as(stack, people.member(workspace), workspace, share.session_id),
        share_as(stack, people.member(elsewhere), elsewhere, share.session_id),
    ]
    assert len({share.id, *(other.id for other in others)}) == 4
    for other in others:
        body = {"secret": other.secret}
        assert share.request("DELETE", f"/api/share/{share.id}", json=body).status_code == 403
        answer = share.request("POST", f"/api/share/{share.id}/sync", json={**body, "data": [part("x")]})
        assert answer.status_code == 403
    assert share.request("GET", f"/api/share/{share.id}/data").json() == []


def test_who_has_left_cannot_sync_but_unshare(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    people.remove(owner, workspace)
    assert share.sync(part("1")).status_code == 404, "there is no such workspace for them"
    assert share.sync(part("1"), resource="share").json()["error"] == "owner_has_left"
    headers = owner.client(workspace)
    gone = share.request("DELETE", f"/api/shares/{share.id}", headers, json={"secret": share.secret})
    assert gone.status_code == 200
    assert read(share) == 410


def test_owner_and_admin_revoke_without_the_secret_and_nobody_else(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner, colleague, admin = people.member(workspace), people.member(workspace), people.member(workspace, "admin")
    stranger = people.member(people.workspace(), "owner")
    for by in (owner, admin):
        share = share_as(stack, owner, workspace, new_session_id())
        share.sync(part("1"))
        address = f"/api/shares/{share.id}"
        assert share.request("DELETE", address).status_code == 401
        assert share.request("DELETE", address, colleague.client(workspace)).status_code == 404
        assert share.request("DELETE", address, stranger.client(workspace)).status_code == 404
        assert share.request("DELETE", share.address, stranger.client(workspace)).status_code == 404
        assert share.request("DELETE", share.address, colleague.client(workspace)).status_code == 404
        assert share.request("DELETE", share.address).status_code == 401
        assert read(share) == 200
        if by is owner:
            assert share.request("DELETE", address, by.client(workspace)).json() == {}
        else:
            assert share.request("DELETE", share.address, by.client(workspace)).status_code == 204
        assert read(share) == 410
        entry = audited(stack, "share.revoked", share.id)
        assert entry["actor_name"] == f"{by.account}@example.com"
        assert entry["workspace_id"] == workspace
        assert share.request("DELETE", address, by.client(workspace)).status_code == 200, "and again"
        assert share.request("GET", share.address, by.client(workspace)).status_code == 404


def test_lists_show_own_shares_or_all_that_one_may_manage_in_pages(stack: Any, people: People) -> None:
    workspace = people.workspace()
    first, second, admin = people.member(workspace), people.member(workspace), people.member(workspace, "admin")
    shares = [share_as(stack, owner, workspace, new_session_id()) for owner in (first, first, second)]
    newest_first = [share.id for share in reversed(shares)]
    some = shares[0]
    assert [each["id"] for each in listed(some, admin)] == newest_first
    assert [each["id"] for each in listed(some, first)] == [shares[1].id, shares[0].id]
    assert listed(some, admin, owner="me") == []
    address = f"{stack.url}/api/v1/workspaces/{workspace}/shares"
    headers = {"authorization": f"Bearer {admin.token}"}
    found: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        query = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = httpx.get(address, headers=headers, params=query, timeout=PATIENCE).json()
        found += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == newest_first
    viewer = people.member(workspace, "viewer")
    refused = httpx.get(address, headers={"authorization": f"Bearer {viewer.token}"}, timeout=PATIENCE)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


def test_many_shares_are_revoked_at_once_and_only_those_that_one_may(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner, other = people.member(workspace), people.member(workspace)
    mine = [share_as(stack, owner, workspace, new_session_id()) for _ in range(3)]
    theirs = share_as(stack, other, workspace, new_session_id())
    theirs.sync(part("1"))
    names = [share.id for share in (*mine, theirs)]
    address = f"{stack.url}/api/v1/workspaces/{workspace}/shares/revoke"
    headers = {"authorization": f"Bearer {owner.token}"}
    headers["idempotency-key"] = new_session_id()
    for _ in range(2):
        answer = httpx.post(address, headers=headers, json={"shares": names}, timeout=PATIENCE)
        assert answer.json() == {"revoked": names[:3], "missing": [theirs.id]}, "also when it is repeated"
    assert [read(share) for share in (*mine, theirs)] == [410, 410, 410, 200]
    assert listed(theirs, owner) == []


def test_a_key_shares_and_lists_within_its_scopes(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    key = people.key(owner, workspace, "admin")
    headers = {"authorization": f"Bearer {key}"}
    made = httpx.post(
        f"{stack.url}/api/shares", headers=headers, json={"sessionID": new_session_id()}, timeout=PATIENCE
    )
    assert made.status_code == 200, made.text
    share = OwnedShare(stack.url, owner, workspace, made.json()["id"], made.json()["secret"], "")
    assert [each["id"] for each in listed(share, owner)] == [share.id], "a key's shares are its holder's"
    narrow = {"authorization": f"Bearer {people.key(owner, workspace, 'inference')}"}
    assert (
        httpx.post(f"{stack.url}/api/shares", headers=narrow, json={"sessionID": "ses_1"}, timeout=PATIENCE).status_code
        == 403
    )
    people.revoke_key(key)
    assert (
        httpx.post(
            f"{stack.url}/api/shares", headers=headers, json={"sessionID": "ses_1"}, timeout=PATIENCE
        ).status_code
        == 401
    )


def test_only_opening_a_share_counts_as_a_view(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(session(share.session_id), part("1"))
    for path in (f"/share/{share.id}", f"/share/{share.id}.md"):
        assert share.request("GET", path, {"accept": "text/html"}).status_code == 200
    for _ in range(3):
        share.request("GET", f"/share/{share.id}/items?after=1")
    (only,) = listed(share, owner)
    assert only["views"] == 2


def test_with_a_workspace_that_is_gone_for_good_its_shares_go(stack: Any, people: People) -> None:
    workspace, elsewhere = people.workspace(), people.workspace()
    owner = people.join(people.member(workspace), elsewhere)
    shares = [share_as(stack, owner, workspace, new_session_id()) for _ in range(3)]
    other = share_as(stack, owner, elsewhere, new_session_id())
    for share in (*shares, other):
        share.sync(part("1"))
    assert len(listed(shares[0], owner)) == 3, "the index has them all"
    people.block(workspace)
    assert [read(share) for share in shares] == [404, 404, 404]
    request = f'{{"workspace_id": "{workspace}"}}'
    stack.client("sqs").send_message(QueueUrl=stack.outputs["PurgeQueueUrl"], MessageBody=request)
    until(lambda: {read(share) for share in shares} == {410})
    assert read(other) == 200


def test_what_is_published_over_a_socket_is_held_to_the_same_rules(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    action = {"action": "sync", "share": share.id, "secret": share.secret, "id": "1"}
    action |= {"items": [session(share.session_id, "Over a socket")]}
    with connect(f"{stack.url.replace('http', 'ws', 1)}/live") as socket:
        socket.send(json.dumps(action))
        assert json.loads(socket.recv(timeout=PATIENCE)) == {"type": "ack", "id": "1", "seq": 1}
        assert listed(share, owner)[0]["title"] == "Over a socket"
        people.remove(owner, workspace)
        socket.send(json.dumps(action))
        assert json.loads(socket.recv(timeout=PATIENCE))["code"] == "owner_has_left"


def test_a_page_of_another_site_can_change_nothing_with_the_reader_s_cookie(stack: Any, people: People) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    crossed = {**owner.browser, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert share.request("DELETE", share.address, crossed).json()["code"] == "cross_origin"
    assert share.request("POST", f"/share/{share.id}/ticket", crossed).json()["error"] == "cross_origin"
    same = {**owner.browser, "sec-fetch-site": "same-origin"}
    assert share.request("DELETE", share.address, same).status_code == 204
