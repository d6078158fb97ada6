"""The API of owners: the secrets that were found in a share, allowed secrets, comments, and the rescan."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from opencode_cloud.sharing.models import Finding, ItemFindings
from opencode_cloud.sharing.routes.lazy_api import LazyShareApi
from opencode_cloud.sharing.service.owning import Owning
from tests.unit.aws import Cloud
from tests.unit.sharing.test_owner_panel import KEY, OWNER, SHARE, WORKSPACE, Desk

ONE = f"/api/v1/workspaces/{WORKSPACE}/shares/{SHARE.id}"
FOUND = (Finding("github-pat", "state.output", "1a2b3c4d", 2), Finding("jwt", "", "99aa88bb", 1))


class OwnersApi(Desk):
    """The API of one share."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        access, this = cast("Any", self.people), cast("Any", self)
        self._api = LazyShareApi(
            Owning(self.store, access, this, this),
            this,
            this,
            access,
            lambda: KEY,
            sessions_table=cloud.table("sessions"),
            public_url="https://cloud.example",
            requests_per_minute=100,
        )

    def call(self, method: str, path: str = "", cookie: str = OWNER, body: Any = None) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "rawPath": ONE + path,
            "rawQueryString": "",
            "body": json.dumps(body) if body is not None else None,
            "headers": {"sec-fetch-site": "same-origin", "host": "cloud.example", "content-type": "application/json"},
            "cookies": [f"__Host-opencode_session={cookie}"],
            "requestContext": {
                "http": {"method": method, "path": ONE + path, "sourceIp": "203.0.113.7"},
                "stage": "$default",
                "timeEpoch": 1_800_000_100_000,
                "requestId": "r",
            },
        }
        answer = self._api.answer(event, cast("Any", None))
        assert answer is not None
        return answer["statusCode"], json.loads(answer["body"] or "null")


@pytest.fixture
def api(cloud: Cloud) -> OwnersApi:
    return OwnersApi(cloud)


def test_the_owner_gets_kind_and_place_of_each_secret_the_latest_item_first(api: OwnersApi) -> None:
    older = ItemFindings(key="message/msg_1", at=1_800_000_000_000, findings=FOUND[1:])
    api.store.put_findings(
        SHARE.id, [older, ItemFindings(key="part/msg_1/prt_2", at=1_800_000_001_000, findings=FOUND)]
    )
    status, body = api.call("GET", "/secrets")
    assert status == 200
    assert (body["mode"], body["total"], body["kinds"]) == ("on", 4, {"github-pat": 2, "jwt": 2})
    assert body["secrets"][0] == {
        "kind": "github-pat",
        "fingerprint": "1a2b3c4d",
        "item": "part/msg_1/prt_2",
        "message_id": "msg_1",
        "part_id": "prt_2",
        "field": "state.output",
        "count": 2,
        "found_at": "2027-01-15T08:00:01Z",
    }
    assert (body["secrets"][2]["message_id"], body["secrets"][2]["part_id"]) == ("msg_1", None)


def test_allowed_secrets_and_comments_are_changed_and_shown(api: OwnersApi) -> None:
    change = {"allowed_secrets": ["jwt", "github-pat/1a2b3c4d", "jwt"], "comments": True}
    status, body = api.call("PATCH", body=change)
    assert (status, body["allowed_secrets"], body["comments"]) == (200, ["jwt", "github-pat/1a2b3c4d"], True)
    assert api.call("GET")[1]["allowed_secrets"] == ["jwt", "github-pat/1a2b3c4d"]
    assert api.call("PATCH", body={"allowed_secrets": ["Not A Kind"]})[1]["code"] == "invalid_allowed_secrets"
    assert api.call("PATCH", body={"mode": "workspace"})[1]["comments"] is True


def test_a_rescan_is_begun_and_recorded(api: OwnersApi) -> None:
    assert api.call("POST", "/rescan") == (202, None)
    assert (api.asked, api.audited) == (["rescan"], ["share.rescanned"])


@pytest.mark.parametrize(("method", "path"), [("GET", "/secrets"), ("POST", "/rescan")])
def test_a_colleague_does_not_find_the_share(api: OwnersApi, method: str, path: str) -> None:
    assert api.call(method, path, "a colleague")[0] == 404
    assert api.call(method, path, "an admin")[0] in (200, 202)
    assert api.call(method, path, "unknown")[0] == 401


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59-12:00", "2000-01-01T00:00:00Z", "0001-01-01T00:00:00+12:00"])
def test_an_end_that_no_calendar_can_show_or_that_has_passed_is_refused(api: OwnersApi, end: str) -> None:
    status, body = api.call("PATCH", body={"expires_at": end})
    assert (status, body["code"]) == (400, "invalid_expiry")
    assert api.call("GET")[1]["expires_at"] is None


def test_the_last_end_of_the_calendar_can_be_read(api: OwnersApi) -> None:
    last = "9999-12-31T23:59:59Z"
    assert api.call("PATCH", body={"expires_at": last})[0] == 200
    assert api.call("GET")[1]["expires_at"] == last
    assert "9999-12-31 23:59 UTC" in api.page(OWNER)["body"]
