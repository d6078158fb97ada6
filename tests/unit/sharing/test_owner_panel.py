"""The owner's panel on the page of a share: shown to whom, and what its forms do."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
import pytest

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.contracts.access import EnforcedPolicy, KnownWorkspace, login_required
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, ShareId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import form_token
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.sharing.models import (
    Finding,
    Item,
    ItemFindings,
    Mode,
    Ownership,
    Position,
    Share,
    State,
)
from opencode_cloud.sharing.routes.comment_routes import CommentRoutes
from opencode_cloud.sharing.routes.owner_forms import OwnerForms
from opencode_cloud.sharing.routes.readers import ReaderRoutes
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.commenting import Commenting
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.reading import ShareReader
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from tests.unit.aws import Cloud

KEY = "the deployment's key"
OWNER = "owner's cookie"
WORKSPACE = WorkspaceId("wrk_1")
SHARE = Share(
    id=ShareId("shr_1"),
    state=State.ACTIVE,
    session_hash="session",
    secret_hash=b"hash",
    sealed_session=b"sealed",
    pseudonym="ses_p",
    created_at=1_800_000_000_000,
    hint=Position(),
    ownership=Ownership(owner="acc_1", workspace_id=WORKSPACE, mode=Mode.LINK, ticket_key=b"k", title="Fix it"),
)
FINDING = Finding("github-pat", "state.output", "1a2b3c4d", 2)
PEOPLE = {OWNER: ("acc_1", "member"), "a colleague": ("acc_2", "member"), "an admin": ("acc_3", "admin")}


class People:
    """The members of the workspace, by their cookies."""

    def __init__(self) -> None:
        self.policy = EnforcedPolicy()

    def workspace(self, workspace_id: WorkspaceId) -> KnownWorkspace:
        return KnownWorkspace(id=workspace_id, name="Acme", policy=self.policy)

    def member(self, request: AccessRequest, workspace_id: WorkspaceId, *_: Permission) -> Actor:
        if request.cookie not in PEOPLE:
            raise login_required()
        account, role = PEOPLE[request.cookie]
        return Actor(
            kind=ActorKind.MEMBER,
            credential=CredentialKind.SESSION,
            id=f"mem_{account}",
            account_id=AccountId(account),
            name=f"{account}@example.com",
            workspace_id=workspace_id,
            role=role,
        )


class Desk:
    """The pages of one share, and what was asked of other services."""

    def __init__(self, cloud: Cloud) -> None:
        objects = ObjectStore(cloud.bucket("shares", versioned=True))
        self.store = ShareStore(cloud.table("shares"), objects)
        self.people = People()
        self.audited: list[str] = []
        self.asked: list[str] = []
        access, this = cast("Any", self.people), cast("Any", self)
        gate = ShareAccess(self.store, access)
        owning = Owning(self.store, access, this, this)
        reading = ShareReader(self.store, objects, Snapshots(self.store, objects), gate)
        self.app = HttpRoutes()
        forms = OwnerForms(owning, this, this, self.store, access, lambda: KEY)
        comments = CommentRoutes(Commenting(self.store, reading, gate, access, this, this, lambda: KEY), lambda: KEY)
        comments.mount(self.app)
        ReaderRoutes(reading, gate, forms, comments, public_url="https://cloud.example").mount(self.app)
        assert self.store.create(SHARE)
        item = Item(key="message/msg_1", type="message", data=b'{"id":"msg_1","role":"user"}')
        self.store.append(SHARE.id, Position(), 5, self.store.prepare(SHARE.id, [item]))

    def record(self, _actor: Actor, action: str, *_: object, **__: object) -> None:
        self.audited.append(action)

    def tell_of_comments(self, *_: object) -> None:
        self.asked.append("comments")

    def disconnect(self, *_: object) -> None:
        self.asked.append("disconnect")

    def delete(self, *_: object) -> None:
        self.asked.append("delete")

    def rescan(self, _share: ShareId) -> None:
        self.asked.append("rescan")

    def page(self, cookie: str = "", **query: str) -> dict[str, Any]:
        return self.answer("GET", f"/share/{SHARE.id}", cookie, query=query)

    def send(self, cookie: str = OWNER, token: str | None = None, site: str = "same-origin", **fields: Any) -> Any:
        path = f"/share/{SHARE.id}/owner"
        token = form_token(KEY, cookie, path) if token is None else token
        body = urlencode({"token": token, **fields}, doseq=True)
        return self.answer("POST", path, cookie, body=body, site=site)

    def answer(
        self,
        method: str,
        path: str,
        cookie: str,
        *,
        body: str = "",
        site: str = "",
        query: Any = None,
        accept: str = "text/html",
        form: bool = False,
    ) -> Any:
        event = {
            "rawPath": path,
            "body": body,
            "queryStringParameters": query or {},
            "headers": {
                "accept": accept,
                "sec-fetch-site": site,
                "host": "cloud.example",
                "content-type": "application/x-www-form-urlencoded" if form else "application/json",
            },
            "cookies": [f"__Host-opencode_session={cookie}"] if cookie else [],
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "203.0.113.7"},
                "stage": "$default",
                "timeEpoch": 1_800_000_100_000,
                "requestId": "r",
            },
        }
        return self.app.answer(event, None)

    def ownership(self) -> Ownership:
        share = self.store.share(SHARE.id)
        assert share is not None
        assert share.ownership is not None
        return share.ownership


@pytest.fixture
def desk(cloud: Cloud) -> Desk:
    return Desk(cloud)


@pytest.mark.parametrize(
    ("cookie", "shown"), [("", False), ("unknown", False), *zip(PEOPLE, (True, False, True), strict=True)]
)
def test_only_the_owner_and_admins_see_the_panel_and_only_their_page_may_send_forms(
    desk: Desk, cookie: str, shown: bool
) -> None:
    page = desk.page(cookie)
    assert page["statusCode"] == 200
    assert ('id="owner"' in page["body"]) == shown
    forms = "'self'" if shown else "'none'"
    assert f"form-action {forms}" in page["headers"]["Content-Security-Policy"]


def test_the_panel_tells_audience_views_and_secrets(desk: Desk) -> None:
    desk.store.put_findings(SHARE.id, [ItemFindings(key="part/msg_1/prt_2", at=5, findings=(FINDING,))])
    desk.page()
    body = desk.page(OWNER)["body"]
    for words in (
        "Anyone with the link",
        "2 views",
        "0 watching now",
        "2 secrets found",
        "part/msg_1/prt_2 · state.output",
    ):
        assert words in body
    assert 'value="github-pat/1a2b3c4d"' in body


def test_audience_and_end_are_changed(desk: Desk) -> None:
    answer = desk.send(mode="password", password="correct horse", end="week", action="save")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (303, f"/share/{SHARE.id}?done=saved#owner")
    assert desk.ownership().mode is Mode.PASSWORD
    share = desk.store.share(SHARE.id)
    assert share is not None
    assert share.expires_at is not None
    assert (desk.audited, desk.asked) == (["share.mode_changed"], ["disconnect"])
    body = desk.page(OWNER, done="saved")["body"]
    assert ">Saved.<" in body
    assert '<option value="password" selected>' in body


def test_a_password_that_the_browser_filled_in_is_left_out(desk: Desk) -> None:
    assert desk.send(mode="workspace", password="filled in by itself", end="", action="save")["statusCode"] == 303
    assert desk.ownership().mode is Mode.WORKSPACE


@pytest.mark.parametrize(
    ("fields", "words", "status"),
    [
        ({"mode": "password", "password": "short"}, "8 to 200 characters", 400),
        ({"mode": "password"}, "if, and only if, its mode", 400),
        ({"mode": "everyone"}, "This form is incomplete", 400),
        ({"action": "revoke"}, "Tick the box", 400),
        ({"action": "allow", "allowed": ["Not A Kind"]}, "List up to 100 kinds", 400),
    ],
)
def test_a_form_that_is_refused_is_shown_with_the_reason(
    desk: Desk, fields: dict[str, Any], words: str, status: int
) -> None:
    answer = desk.send(**{"action": "save", **fields})
    assert answer["statusCode"] == status
    assert words in answer["body"]
    assert '<details id="owner" class="owner" open>' in answer["body"]
    assert desk.ownership() == SHARE.ownership


def test_a_policy_of_the_workspace_bounds_the_form(desk: Desk) -> None:
    desk.people.policy = EnforcedPolicy(share_mode="workspace")
    answer = desk.send(mode="password", password="correct horse", action="save")
    assert answer["statusCode"] == 403
    assert "does not allow shares of mode" in answer["body"]


def test_false_alarms_are_allowed_and_taken_back(desk: Desk) -> None:
    desk.store.put_findings(SHARE.id, [ItemFindings(key="part/msg_1/prt_2", at=5, findings=(FINDING,))])
    assert desk.send(action="allow", allowed=["github-pat/1a2b3c4d"])["statusCode"] == 303
    assert desk.ownership().allowed_secrets == ("github-pat/1a2b3c4d",)
    assert 'value="github-pat/1a2b3c4d" checked' in desk.page(OWNER)["body"]
    desk.send(action="allow")
    assert desk.ownership().allowed_secrets == ()
    assert desk.audited == ["share.updated", "share.updated"]


def test_the_share_is_searched_again_and_removed(desk: Desk) -> None:
    assert desk.send(action="rescan")["statusCode"] == 303
    assert desk.send(action="revoke", confirm="1")["statusCode"] == 303
    assert desk.asked == ["rescan", "delete"]
    assert desk.audited == ["share.rescanned", "share.revoked"]


def test_a_form_of_another_site_or_browser_changes_nothing(desk: Desk) -> None:
    fields = {"mode": "workspace", "action": "save"}
    other = form_token(KEY, "an admin", f"/share/{SHARE.id}/owner")
    refused = [
        desk.send(**fields, site="cross-site"),
        desk.send(**fields, token=other),
        desk.send(**fields, token=""),
        desk.send(**fields, cookie=""),
        desk.send(**fields, cookie="a colleague"),
        desk.send(**fields, cookie="unknown"),
    ]
    assert [answer["statusCode"] for answer in refused] == [403, 403, 403, 403, 404, 401]
    assert desk.ownership() == SHARE.ownership
    assert desk.audited == []


def test_a_share_without_an_owner_has_no_panel(desk: Desk, cloud: Cloud) -> None:
    desk.store.create(msgspec.structs.replace(SHARE, id="shr_2", session_hash="other", ownership=None))
    answer = desk.answer("GET", "/share/shr_2", OWNER)
    assert 'id="owner"' not in answer["body"]


def test_hostile_words_stay_words_in_the_panel(desk: Desk) -> None:
    hostile = '"><script>alert(1)</script>'
    found = ItemFindings(key=f"part/{hostile}/x", at=5, findings=(Finding("a", hostile, hostile),))
    desk.store.put_findings(SHARE.id, [found])
    body = desk.page(OWNER)["body"]
    assert "<script>alert" not in body
    assert json.dumps(hostile) not in body
