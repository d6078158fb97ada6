"""Access to shares: every route and socket, every kind of reader, every mode, and changes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from opencode_cloud_client import Forbidden, Unauthorized, follow
from tests.integration.projected import OwnedShare, People, Person, share_as
from tests.integration.publisher import message, new_session_id, part, session
from tests.waiting import PATIENCE, in_one_window, until

PASSWORD = "correct horse"
WORDS = "words of the session"
REVOKED_SECONDS = 5
"""Time in which a revoked credential is refused everywhere (invariant I9)."""
HTML = {"accept": "text/html"}
ROUTES: dict[str, Callable[[str], tuple[str, dict[str, str]]]] = {
    "page": lambda share: (f"/share/{share}", HTML),
    "json": lambda share: (f"/share/{share}.json", {}),
    "json by accept": lambda share: (f"/share/{share}", {"accept": "application/json"}),
    "markdown": lambda share: (f"/share/{share}.md", {}),
    "items": lambda share: (f"/share/{share}/items", {}),
    "item": lambda share: (f"/share/{share}/items/3", {}),
    "short link": lambda share: (f"/s/{share}", HTML),
    "data": lambda share: (f"/api/share/{share}/data", {}),
    "legacy data": lambda share: (f"/share_data?id={share}", {}),
}
ACTORS = ("anonymous", "stranger", "viewer", "member", "owner", "admin", "removed", "signed out", "unlocked")
MAY = {
    "link": set(ACTORS),
    "workspace": {"viewer", "member", "owner", "admin"},
    "password": {"viewer", "member", "owner", "admin", "unlocked"},
}


@dataclass
class Scene:
    """One share of each mode, and one reader of each kind."""

    stack: Any
    people: People
    workspace: str
    owner: Person
    shares: dict[str, OwnedShare] = field(default_factory=dict)
    readers: dict[str, dict[str, str]] = field(default_factory=dict)

    def headers(self, actor: str, mode: str) -> dict[str, str]:
        if actor != "unlocked":
            return self.readers[actor]
        answer = unlock(self.shares[mode], PASSWORD)
        return {"x-share-ticket": answer.json().get("ticket") or ""} if answer.status_code == 200 else {}


@pytest.fixture(scope="module")
def scene(stack: Any) -> Scene:
    people = People(stack)
    workspace = people.workspace()
    owner = people.member(workspace)
    made = Scene(stack, people, workspace, owner)
    for mode in MAY:
        share = share_as(stack, owner, workspace, new_session_id())
        share.sync(session(share.session_id, WORDS), message("1"), part("1", WORDS))
        change = {"mode": mode} | ({"password": PASSWORD} if mode == "password" else {})
        assert share.change(owner, **change).status_code == 200
        made.shares[mode] = share
    removed, signed_out = people.member(workspace), people.member(workspace)
    people.remove(removed, workspace)
    people.sign_out(signed_out)
    elsewhere = people.workspace()
    made.readers = {
        "anonymous": {},
        "stranger": people.member(elsewhere, "owner").browser,
        "viewer": people.member(workspace, "viewer").browser,
        "member": people.member(workspace).browser,
        "owner": owner.browser,
        "admin": {"authorization": f"Bearer {people.member(workspace, 'admin').token}"},
        "removed": removed.browser,
        "signed out": signed_out.browser,
    }
    return made


def unlock(share: OwnedShare, password: str) -> httpx.Response:
    return share.request("POST", f"/share/{share.id}/unlock", json={"password": password})


def refusal(mode: str, actor: str) -> int:
    """Return the status for a reader without access. Signed-in readers cannot tell that the share exists."""
    return 404 if mode == "workspace" and actor in ("stranger", "removed") else 401


def ticket_of(share: OwnedShare, headers: dict[str, str]) -> str | None:
    answer = share.request("POST", f"/share/{share.id}/ticket", {**headers, "sec-fetch-site": "same-origin"})
    return answer.json().get("ticket") if answer.status_code == 200 else None


@contextmanager
def live(stack: Any) -> Iterator[ClientConnection]:
    with connect(f"{stack.url.replace('http', 'ws', 1)}/live") as socket:
        yield socket


def ask(socket: ClientConnection, share: str, action: str = "resume", ticket: str | None = None) -> dict[str, Any]:
    socket.send(json.dumps({"action": action, "share": share, "after": 0} | ({"ticket": ticket} if ticket else {})))
    while True:
        frame = json.loads(socket.recv(timeout=PATIENCE))
        if frame["type"] in ("ready", "pong", "error", "gone"):
            return frame


def next_frame(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=PATIENCE))


def is_ended(socket: ClientConnection) -> bool:
    """Receive frames until the server closes the socket; fail if one contains content of the session."""
    try:
        while True:
            assert "items" not in str(socket.recv(timeout=PATIENCE))
    except ConnectionClosed:
        return True
    except TimeoutError:
        pass
    return False


def is_closed(socket: ClientConnection) -> bool:
    """Receive what has arrived; tell whether the server has closed the socket."""
    try:
        while True:
            socket.recv(timeout=0.1)
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("mode", MAY)
@pytest.mark.parametrize("actor", ACTORS)
def test_routes_let_in_whom_the_mode_names(scene: Scene, actor: str, mode: str) -> None:
    share = scene.shares[mode]
    headers = scene.headers(actor, mode)
    answers = {name: share.request("GET", path, more | headers) for name, (path, more) in at(share).items()}
    expected = 200 if actor in MAY[mode] else refusal(mode, actor)
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, expected)
    for name, answer in answers.items():
        assert (WORDS in answer.text) is (expected == 200), name
        assert answer.headers["cache-control"] == "private, no-store"


def at(share: OwnedShare) -> dict[str, tuple[str, dict[str, str]]]:
    return {name: route(share.id) for name, route in ROUTES.items()}


@pytest.mark.parametrize("mode", MAY)
@pytest.mark.parametrize("actor", ACTORS)
def test_sockets_let_in_whom_the_mode_names(scene: Scene, actor: str, mode: str) -> None:
    share = scene.shares[mode]
    ticket = ticket_of(share, scene.headers(actor, mode))
    assert (ticket is not None) is (actor in MAY[mode] and mode != "link")
    with live(scene.stack) as socket:
        for action, answer in (("resume", "ready"), ("ping", "pong")):
            frame = ask(socket, share.id, action, ticket)
            assert frame["type"] == (answer if actor in MAY[mode] else "error")
            assert actor in MAY[mode] or frame["status"] == 401


@pytest.mark.parametrize("mode", MAY)
def test_the_legacy_socket_is_for_links_only(scene: Scene, mode: str) -> None:
    address = f"{scene.stack.url.replace('http', 'ws', 1)}/share_poll?id={scene.shares[mode].id}"
    if mode == "link":
        with connect(address) as socket:
            assert WORDS in str(socket.recv(timeout=PATIENCE))
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(address)
    assert refused.value.response.status_code in (401, 403), "the emulator's gateway makes a 403 of it"


@pytest.mark.parametrize("mode", MAY)
@pytest.mark.parametrize("actor", ["anonymous", "stranger", "viewer", "member", "removed"])
def test_the_clients_import_needs_a_login_beside_the_right_to_read(scene: Scene, actor: str, mode: str) -> None:
    share = scene.shares[mode]
    org = {"x-org-id": scene.workspace}
    answer = share.request("GET", f"/api/shares/{share.id}/data", scene.readers[actor] | org)
    expected = {"anonymous": 401, "stranger": 404, "removed": 404}.get(actor, 200)
    assert answer.status_code == expected
    assert (WORDS in answer.text) is (expected == 200)


def test_a_stranger_s_answer_is_that_of_a_share_that_never_was(scene: Scene) -> None:
    share = scene.shares["workspace"]
    for name, route in ROUTES.items():
        there, never = (
            share.request("GET", path, more | scene.readers["stranger"])
            for path, more in (route(share.id), route("A" * 22))
        )
        assert there.status_code == never.status_code == 404, name
        if name in ("page", "short link"):
            assert there.text == never.text
        else:
            assert {**there.json(), "correlation_id": ""} == {**never.json(), "correlation_id": ""}


def test_who_is_not_signed_in_is_shown_the_way_in(scene: Scene) -> None:
    share = scene.shares["workspace"]
    page = share.request("GET", f"/share/{share.id}", HTML)
    assert page.status_code == 401
    assert f"/login?continue=%2Fshare%2F{share.id}" in page.text
    form = share.request("GET", f"/share/{scene.shares['password'].id}", HTML)
    assert 'type="password"' in form.text
    assert "form-action 'self'" in form.headers["content-security-policy"]


def test_a_browser_remembers_the_password(scene: Scene) -> None:
    share = scene.shares["password"]
    with httpx.Client(base_url=scene.stack.url, timeout=60, headers=HTML) as browser:
        wrong = browser.post(f"/share/{share.id}/unlock", data={"password": "wrong"})
        assert wrong.status_code == 403
        assert "This is not the password" in wrong.text
        right = browser.post(f"/share/{share.id}/unlock", data={"password": PASSWORD})
        assert (right.status_code, right.headers["location"]) == (303, f"/share/{share.id}")
        kept = right.headers["set-cookie"]
        assert "HttpOnly" in kept
        assert "SameSite=Lax" in kept
        page = browser.get(f"/share/{share.id}")
        assert WORDS in page.text
        assert 'data-ticket="' in page.text
        assert browser.get(f"/share/{share.id}/items").status_code == 200


def test_passwords_cannot_be_tried_for_long(stack: Any) -> None:
    people = People(stack)
    workspace = people.workspace()
    owner = people.member(workspace)

    def statuses() -> list[int]:
        share = share_as(stack, owner, workspace, new_session_id())
        assert share.change(owner, mode="password", password=PASSWORD).status_code == 200
        return [unlock(share, password).status_code for password in [*["wrong"] * 12, PASSWORD]]

    assert in_one_window(statuses) == [403] * 10 + [429] * 3, "also the right one"


def test_the_password_is_stored_as_a_hash_and_nothing_shows_it(stack: Any) -> None:
    people = People(stack)
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    changed = share.change(owner, mode="password", password="a very own password")
    key = {"pk": {"S": share.id}, "sk": {"S": "META"}}
    row = stack.client("dynamodb").get_item(TableName=stack.outputs["SharesTableName"], Key=key)["Item"]
    assert row["password_hash"]["S"].startswith("$argon2id$")
    assert "a very own password" not in changed.text + str(row)
    assert share.change(owner, mode="password").status_code == 200, "it stays"
    for wrong in ({"mode": "link", "password": "a new password"}, {"password": "short"}):
        assert share.change(owner, **wrong).status_code in (400, 422)
    assert share.change(owner, mode="link").status_code == 200
    assert share.change(owner, mode="password").json()["code"] == "invalid_password"


@pytest.mark.parametrize("change", ["mode", "password", "removal", "sign-out", "policy", "revocation", "role"])
def test_a_change_takes_hold_of_open_sockets(stack: Any, change: str) -> None:
    people = People(stack)
    workspace = people.workspace()
    owner, reader = people.member(workspace), people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(part("1", "old"))
    password = change == "password"
    share.change(owner, mode="password" if password else "workspace", **({"password": PASSWORD} if password else {}))
    ticket = unlock(share, PASSWORD).json()["ticket"] if password else ticket_of(share, reader.browser)
    with live(stack) as socket:
        assert ask(socket, share.id, ticket=ticket)["type"] == "ready"
        assert share.sync(part("1", "seen")).status_code == 200
        assert "seen" in json.dumps(next_frame(socket))
        match change:
            case "mode":
                share.change(owner, mode="password", password=PASSWORD)
            case "password":
                share.change(owner, password="another password")
            case "removal":
                people.remove(reader, workspace)
            case "role":
                people.join(reader, workspace, "nobody")
            case "sign-out":
                people.sign_out(reader)
            case "policy":
                people.policy(workspace, share_mode="off")
            case _:
                share.request("DELETE", share.address, {"authorization": f"Bearer {owner.token}"})
        share.sync(part("1", "new"))
        if change == "policy":  # publishing is impossible now, so there are no pushes
            assert ask(socket, share.id, "ping", ticket)["type"] == "error"
        elif change == "revocation":
            assert next_frame(socket) == {"type": "gone", "share": share.id}
        elif change in ("removal", "role", "sign-out"):
            until(lambda: share.sync(part("1", "new")) and is_closed(socket), REVOKED_SECONDS)
        else:
            assert is_ended(socket)
    with live(stack) as socket:
        again = ask(socket, share.id, ticket=ticket)
        assert again["type"] == ("gone" if change == "revocation" else "error")


def test_who_still_may_comes_back_after_a_change(stack: Any) -> None:
    people = People(stack)
    workspace = people.workspace()
    owner, reader = people.member(workspace), people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(part("1", "old"))
    with live(stack) as socket:
        assert ask(socket, share.id)["type"] == "ready"
        share.change(owner, mode="workspace")
        assert is_ended(socket)
    with live(stack) as socket:
        assert ask(socket, share.id)["type"] == "error"
        assert ask(socket, share.id, ticket=ticket_of(share, reader.browser))["type"] == "ready"
        share.sync(part("1", "new"))
        assert "new" in json.dumps(next_frame(socket))


def test_a_stricter_policy_holds_for_shares_that_are_there(stack: Any) -> None:
    people = People(stack)
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(part("1"))
    address = f"{stack.url.replace('http', 'ws', 1)}/share_poll?id={share.id}"
    with live(stack) as socket, connect(address) as legacy:
        assert ask(socket, share.id)["type"] == "ready"
        legacy.recv(timeout=PATIENCE)
        people.policy(workspace, share_mode="workspace")
        assert share.request("GET", f"/api/share/{share.id}/data").status_code == 401
        assert share.request("GET", f"/api/share/{share.id}/data", owner.browser).status_code == 200
        assert ask(socket, share.id, "ping")["type"] == "error"
        assert share.sync(part("1", "items for members")).status_code == 200
        assert is_ended(socket)
        assert is_ended(legacy)
    assert share.change(owner, mode="password", password=PASSWORD).json()["code"] == "mode_not_allowed"
    people.block(workspace)
    assert share.request("GET", f"/api/share/{share.id}/data", owner.browser).status_code == 404


def test_a_key_reads_with_a_ticket_until_it_is_revoked(stack: Any) -> None:
    people = People(stack)
    workspace = people.workspace(share_mode="workspace")
    owner = people.member(workspace)
    key = people.key(owner, workspace, "admin")
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(part("1"))
    ticket = ticket_of(share, {"authorization": f"Bearer {key}"})
    assert ticket
    assert key not in ticket
    with live(stack) as socket:
        assert ask(socket, share.id, ticket=ticket)["type"] == "ready"
        people.revoke_key(key)
        share.sync(part("2"))
        assert is_ended(socket)
    other = share_as(stack, owner, workspace, new_session_id())
    with live(stack) as socket:
        assert ask(socket, other.id, ticket=ticket)["type"] == "error", "a ticket is for one share"


@pytest.mark.parametrize("mode", ["workspace", "password"])
async def test_the_reference_client_follows_as_a_member_or_with_the_password(stack: Any, mode: str) -> None:
    people = People(stack)
    workspace = people.workspace()
    owner, reader = people.member(workspace), people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(part("1", "first"))
    share.change(owner, mode=mode, **({"password": PASSWORD} if mode == "password" else {}))
    with pytest.raises(Unauthorized):
        async with follow(stack.url, share.id) as nobody:
            await nobody.until_live()
    proof: dict[str, Any] = {"bearer": reader.token} if mode == "workspace" else {"password": PASSWORD}
    async with follow(stack.url, share.id, **proof) as follower:
        await follower.until_live()
        large = "x" * 300_000  # the item comes by reference, and is fetched with the ticket
        seq = share.sync(part("2", large)).json()["seq"]
        state = await follower.until(seq)
        assert large in str(state.items["part/msg_1/prt_2"].data)
        other = {"mode": "password", "password": "another password"}
        share.change(owner, **other)
        share.sync(part("3", "secret"))
        if mode == "workspace":
            await follower.until(seq + 1)  # reconnects with a new ticket: members need no password
            people.remove(reader, workspace)
            share.sync(part("4", "secret"))
        with pytest.raises((Unauthorized, Forbidden)):
            await follower.until(seq + 2)
