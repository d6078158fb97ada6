"""Devices log in by opencode's JSON dialect and by RFC 8628's form, and every error of both."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.emulator.identity.conftest import DEVICE_GRANT, Cloud


def test_the_code_response_has_what_the_client_requires(cloud: Cloud) -> None:
    reply = cloud.post("/auth/device/code", {"client_id": "opencode-cli"})
    assert reply.status == 200
    begun = reply.json
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", begun["user_code"])
    assert begun["verification_uri_complete"] == f"https://cloud.example/device?user_code={begun['user_code']}"
    assert begun["expires_in"] == 600
    assert begun["interval"] == 2
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_device_waits_until_it_is_approved_and_then_gets_tokens_once(cloud: Cloud) -> None:
    account = cloud.person("ada@example.com", ("zebra", "Apple", "mango"))
    begun = cloud.begin()
    waiting = cloud.poll(begun["device_code"])
    assert waiting.status == 400
    assert waiting.json["error"] == "authorization_pending"
    assert waiting.json["error_description"]

    cloud.settle(begun["user_code"], account)
    got = cloud.poll(begun["device_code"])
    assert got.status == 200
    assert got.json["token_type"] == "Bearer"
    assert got.json["expires_in"] == 30 * 86_400
    assert {"access_token", "refresh_token"} < set(got.json)

    again = cloud.poll(begun["device_code"])
    assert (again.status, again.json["error"]) == (400, "invalid_grant")

    user = cloud.get("/api/user", got.json["access_token"])
    assert user.json == {"id": account, "email": "ada@example.com"}
    orgs = cloud.get("/api/orgs", got.json["access_token"])
    assert [each["name"] for each in orgs.json] == ["Apple", "mango", "zebra"]


def test_of_polls_at_once_one_gets_the_tokens(cloud: Cloud) -> None:
    begun = cloud.begin()
    cloud.settle(begun["user_code"], cloud.person())
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: cloud.poll(begun["device_code"]), range(6)))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 5
    assert {reply.json["error"] for reply in replies if reply.status == 400} <= {"invalid_grant", "slow_down"}
    assert cloud.poll(begun["device_code"]).status == 400


def test_the_form_encoding_of_the_standard_works_on_either_address(cloud: Cloud) -> None:
    account = cloud.person()
    begun = cloud.form("/auth/device/code", {"client_id": "opencode-cli"}).json
    cloud.settle(begun["user_code"], account)
    asked = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"], "client_id": "opencode-cli"}
    assert cloud.form("/auth/token", asked).json["token_type"] == "Bearer"


def test_a_poll_that_comes_too_soon_slows_the_client_down_for_good(cloud: Cloud) -> None:
    begun = cloud.begin()
    assert cloud.poll(begun["device_code"]).json["error"] == "authorization_pending"
    slow = cloud.poll(begun["device_code"]).json
    assert slow["error"] == "slow_down"
    assert slow["error_description"]
    row = cloud.rows("device#")
    assert 7 in [int(each["interval"]["N"]) for each in row]


def test_a_denied_device_is_told_so(cloud: Cloud) -> None:
    begun = cloud.begin()
    cloud.settle(begun["user_code"], cloud.person(), approved=False)
    denied = cloud.poll(begun["device_code"]).json
    assert denied["error"] == "access_denied"
    assert denied["error_description"]


def test_an_expired_device_code_is_told_so_and_cannot_be_approved(cloud: Cloud) -> None:
    before = {row["pk"]["S"] for row in cloud.rows("device#")}
    begun = cloud.begin()
    (new,) = {row["pk"]["S"] for row in cloud.rows("device#")} - before
    cloud.change(new, expires_at=int(time.time()) - 1)
    expired = cloud.poll(begun["device_code"]).json
    assert expired["error"] == "expired_token"
    assert expired["error_description"]
    with pytest.raises(Exception, match="No device waits"):
        cloud.settle(begun["user_code"], cloud.person())


def test_a_code_is_settled_once(cloud: Cloud) -> None:
    begun = cloud.begin()
    cloud.settle(begun["user_code"], cloud.person(), approved=False)
    with pytest.raises(Exception, match="No device waits"):
        cloud.settle(begun["user_code"], cloud.person())


def test_a_person_may_type_the_code_in_any_form(cloud: Cloud) -> None:
    begun = cloud.begin()
    cloud.settle(f" {begun['user_code'].lower().replace('-', ' ')} ", cloud.person())
    assert "access_token" in cloud.poll(begun["device_code"]).json


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, "invalid_client"),
        ({"client_id": "somebody-else"}, "invalid_client"),
        ({"client_id": 'quoted"'}, "invalid_request"),
        ({"client_id": "opencode-cli", "client_secret": "guess"}, "invalid_client"),
    ],
)
def test_only_our_clients_may_begin(cloud: Cloud, document: dict[str, str], error: str) -> None:
    refused = cloud.post("/auth/device/code", document)
    assert (refused.status, refused.json["error"]) == (400, error)
    assert refused.json["error_description"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"device_code": "x" * 43}, "invalid_grant"),
        ({"device_code": ""}, "invalid_request"),
        ({"client_id": "opencode-web"}, "unauthorized_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "é"}, "invalid_request"),
        ({"grant_type": ""}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_token_request_is_refused_with_both_fields(cloud: Cloud, changes: dict[str, Any], error: str) -> None:
    begun = cloud.begin()
    cloud.settle(begun["user_code"], cloud.person())
    asked = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"], "client_id": "opencode-cli"} | changes
    refused = cloud.post("/auth/device/token", asked)
    assert (refused.status, refused.json["error"]) == (400, error)
    assert refused.json["error_description"]


@pytest.mark.parametrize(
    "body", ["", "{", '{"grant_type": 1}', '["x"]', "\x00", "grant_type=a&grant_type=b", "nonsense"]
)
def test_a_body_that_is_nothing_is_refused(cloud: Cloud, body: str) -> None:
    refused = cloud.call("POST", "/auth/token", body)
    assert refused.status == 400
    assert set(refused.json) == {"error", "error_description"}


def test_a_device_of_somebody_who_was_blocked_meanwhile_is_not_let_in(cloud: Cloud) -> None:
    account = cloud.person()
    begun = cloud.begin()
    cloud.settle(begun["user_code"], account)
    cloud.project(f"account#{account}", "ACCOUNT", None)
    assert cloud.poll(begun["device_code"]).json["error"] == "access_denied"


def test_beginning_is_limited_by_address(cloud: Cloud) -> None:
    replies = [cloud.post("/auth/device/code", {"client_id": "opencode-cli"}, "203.0.113.9, edge") for _ in range(61)]
    assert {reply.status for reply in replies[:55]} == {200}
    assert (replies[-1].status, replies[-1].json["error"]) == (429, "slow_down")
    assert int(replies[-1].headers["Retry-After"]) <= 60


def test_neither_code_is_in_the_table(cloud: Cloud) -> None:
    begun = cloud.begin()
    tokens = cloud.log_in(cloud.person())
    dump = str(cloud.rows(""))
    codes = [begun["device_code"], begun["user_code"], begun["user_code"].replace("-", "")]
    for secret in (*codes, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in dump


class TestWorkspaceOfAToken:
    """A person chooses the workspace of a client that can follow (`supports_org_scope`)."""

    @pytest.mark.parametrize("supported", [True, "true"])
    def test_the_chosen_workspace_is_in_each_token_answer(self, cloud: Cloud, supported: Any) -> None:
        account = cloud.person()
        begun = cloud.begin(supports_org_scope=supported)
        devices = cloud.identity.routes._oauth._services.devices
        assert devices.of_user_code(begun["user_code"]).wants_workspace
        cloud.settle(begun["user_code"], account, workspace="wrk_chosen")
        got = cloud.poll(begun["device_code"]).json
        assert got["org_id"] == "wrk_chosen"
        assert cloud.refresh(got["refresh_token"]).json["org_id"] == "wrk_chosen"

    @pytest.mark.parametrize("more", [{}, {"supports_org_scope": False}, {"supports_org_scope": {"a": 1}}])
    def test_other_clients_are_offered_no_choice(self, cloud: Cloud, more: dict[str, Any]) -> None:
        begun = cloud.begin(**more)
        devices = cloud.identity.routes._oauth._services.devices
        assert not devices.of_user_code(begun["user_code"]).wants_workspace
        cloud.settle(begun["user_code"], cloud.person())
        assert "org_id" not in cloud.poll(begun["device_code"]).json


@pytest.mark.parametrize(("address", "through_edge"), [("192.0.2.77", True), ("", False)])
def test_a_request_past_the_cdn_is_marked(cloud: Cloud, address: str, through_edge: bool) -> None:
    begun = cloud.post("/auth/device/code", {"client_id": "opencode-cli"}, address).json
    request = cloud.identity.routes._oauth._services.devices.of_user_code(begun["user_code"])
    assert (request.address, request.through_edge) == (address or "198.51.100.7", through_edge)
