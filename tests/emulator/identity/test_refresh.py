"""Refreshing: rotation, two concurrent processes, and replayed tokens."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from opencode_cloud.access.store import AccessStore
from opencode_cloud.identity.service.refresh import GRACE_SECONDS
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit.errors import TooManyRequests
from opencode_cloud.kit.rate_limits import RateLimiter
from tests.emulator.identity.conftest import Cloud
from tests.waiting import PATIENCE


def session_key(cloud: Cloud, account: str) -> str:
    return next(row["pk"]["S"] for row in cloud.rows("session#") if row["account_id"]["S"] == account)


def test_refreshing_gives_new_tokens_and_the_old_ones_serve_on_until_they_expire(cloud: Cloud) -> None:
    account = cloud.person()
    first = cloud.log_in(account)
    second = cloud.refresh(first["refresh_token"])
    assert second.status == 200
    assert second.json["refresh_token"] not in ("", first["refresh_token"])
    assert second.json["access_token"] != first["access_token"]
    for token in (first["access_token"], second.json["access_token"]):
        assert cloud.get("/api/user", token).json["id"] == account


def test_processes_that_refresh_at_once_all_get_the_same_successor(cloud: Cloud) -> None:
    token = cloud.log_in(cloud.person())["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: cloud.refresh(token), range(8)))
    assert {reply.status for reply in replies} == {200}
    (successor,) = {reply.json["refresh_token"] for reply in replies}
    assert cloud.refresh(successor).status == 200


def test_within_the_grace_window_the_last_token_may_come_again(cloud: Cloud) -> None:
    account = cloud.person()
    first = cloud.log_in(account)["refresh_token"]
    second = cloud.refresh(first).json["refresh_token"]
    cloud.change(session_key(cloud, account), rotated_at=int(time.time()) - GRACE_SECONDS + 5)
    assert cloud.refresh(first).json["refresh_token"] == second
    assert cloud.refresh(second).status == 200


def test_a_token_that_comes_back_later_ends_the_session_for_everybody(cloud: Cloud) -> None:
    account = cloud.person()
    first = cloud.log_in(account)
    second = cloud.refresh(first["refresh_token"]).json
    cloud.change(session_key(cloud, account), rotated_at=int(time.time()) - GRACE_SECONDS - 1)
    replayed = cloud.refresh(first["refresh_token"])
    assert (replayed.status, replayed.json["error"]) == (400, "invalid_grant")
    assert cloud.refresh(second["refresh_token"]).json["error"] == "invalid_grant"
    for token in (first["access_token"], second["access_token"]):
        assert cloud.get("/api/user", token).status == 401
    (entry,) = [each for each in cloud.audited() if each["after"]["account"] == account]
    assert (entry["action"], entry["after"]["reason"]) == ("session.ended", "refresh token came back")


def test_a_token_of_two_rotations_ago_ends_the_session_also_within_the_grace_window(cloud: Cloud) -> None:
    first = cloud.log_in(cloud.person())["refresh_token"]
    second = cloud.refresh(first).json["refresh_token"]
    third = cloud.refresh(second).json["refresh_token"]
    assert cloud.refresh(first).json["error"] == "invalid_grant"
    assert cloud.refresh(third).json["error"] == "invalid_grant"


@pytest.mark.parametrize("change", ["first", "last", "middle", "made up"])
def test_a_made_up_token_is_refused_and_harms_no_session(cloud: Cloud, change: str) -> None:
    token = cloud.log_in(cloud.person())["refresh_token"]
    other = {"A": "B"}.get(token[60], "A")
    wrong = {
        "first": "x" + token[1:],
        "last": token[:-1] + ("Q" if token[-1] != "Q" else "g"),
        "middle": token[:60] + other + token[61:],
        "made up": token[:33] + "A" * 65,
    }[change]
    assert cloud.refresh(wrong).json["error"] == "invalid_grant"
    assert cloud.refresh(token).status == 200


def test_a_refresh_token_is_of_one_client(cloud: Cloud) -> None:
    token = cloud.log_in(cloud.person())["refresh_token"]
    assert cloud.refresh(token, "opencode-web").json["error"] == "invalid_grant"
    assert cloud.refresh(token).status == 200


def test_an_unused_session_expires(cloud: Cloud) -> None:
    account = cloud.person()
    tokens = cloud.log_in(account)
    cloud.change(session_key(cloud, account), expires_at=int(time.time()) - 1)
    assert cloud.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert cloud.get("/api/user", tokens["access_token"]).status == 401


def test_a_refresh_lets_the_session_live_on(cloud: Cloud) -> None:
    account = cloud.person()
    tokens = cloud.log_in(account)
    cloud.change(session_key(cloud, account), expires_at=int(time.time()) + 60)
    assert cloud.refresh(tokens["refresh_token"]).status == 200
    (row,) = [row for row in cloud.rows("session#") if row["account_id"]["S"] == account]
    assert int(row["expires_at"]["N"]) > time.time() + 80 * 86_400
    assert int(row["ttl"]["N"]) > int(row["expires_at"]["N"])


def test_a_blocked_person_cannot_refresh(cloud: Cloud) -> None:
    account = cloud.person()
    tokens = cloud.log_in(account)
    cloud.project(f"account#{account}", "ACCOUNT", None)
    assert cloud.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_session_at_once(cloud: Cloud, kind: str) -> None:
    tokens = cloud.log_in(cloud.person())
    assert cloud.get("/api/user", tokens["access_token"]).status == 200
    revoked = cloud.form("/auth/revoke", {"token": tokens[kind], "token_type_hint": kind, "client_id": "opencode-cli"})
    assert (revoked.status, revoked.json) == (200, {})
    assert cloud.get("/api/user", tokens["access_token"]).status == 401
    assert cloud.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"


def test_revoking_an_unknown_token_is_no_error_and_another_clients_is_refused(cloud: Cloud) -> None:
    unknown = cloud.form("/auth/revoke", {"token": "nonsense", "client_id": "opencode-cli"})
    assert (unknown.status, unknown.json) == (200, {})
    tokens = cloud.log_in(cloud.person())
    refused = cloud.form("/auth/revoke", {"token": tokens["refresh_token"], "client_id": "opencode-web"})
    assert refused.json["error"] == "invalid_grant"
    assert cloud.get("/api/user", tokens["access_token"]).status == 200


def test_the_session_is_read_while_the_limit_is_checked(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    token = cloud.log_in(cloud.person())["refresh_token"]
    together = threading.Barrier(2, timeout=PATIENCE)
    take, get = RateLimiter.take, SessionsStore.get
    monkeypatch.setattr(RateLimiter, "take", lambda *given: (together.wait(), take(*given))[1])
    monkeypatch.setattr(SessionsStore, "get", lambda *given: (together.wait(), get(*given))[1])
    assert cloud.refresh(token).status == 200


def test_an_address_beyond_its_limit_rotates_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    account = cloud.person()
    token = cloud.log_in(account)["refresh_token"]

    def refuse(*_: object) -> None:
        raise TooManyRequests("rate_limited", "Wait.", 1)

    key, before = session_key(cloud, account), cloud.rows("session#")
    with monkeypatch.context() as patch:
        patch.setattr(RateLimiter, "take", refuse)
        assert cloud.refresh(token).status == 429
    assert [row for row in cloud.rows("session#") if row["pk"]["S"] == key] == [
        row for row in before if row["pk"]["S"] == key
    ]
    assert cloud.refresh(token).status == 200


def test_the_workspace_of_a_configuration_is_read_while_the_token_is_checked(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = cloud.person(workspaces=("one",))
    token = cloud.log_in(account)["access_token"]
    (workspace,) = cloud.get("/api/orgs", token).json
    together = threading.Barrier(2, timeout=PATIENCE)
    session, clients = AccessStore.session, AccessStore.clients
    monkeypatch.setattr(AccessStore, "session", lambda *given: (together.wait(), session(*given))[1])
    monkeypatch.setattr(AccessStore, "clients", lambda *given: (together.wait(), clients(*given))[1])
    asked = cloud.call("GET", "/api/config", authorization=f"Bearer {token}", x_org_id=workspace["id"])
    assert (asked.status, asked.json["error"]) == (404, "no_remote_config")


def test_a_configuration_that_was_read_ahead_is_not_shown_to_others(cloud: Cloud) -> None:
    cloud.person(workspaces=("theirs",))
    theirs = next(
        row["pk"]["S"].removeprefix("workspace#")
        for row in cloud.emulator.client("dynamodb").scan(TableName=cloud.tables["access"])["Items"]
        if row["sk"]["S"] == "WORKSPACE" and '"theirs"' in row["value"]["S"]
    )
    token = cloud.log_in(cloud.person())["access_token"]
    for bearer, status in ((token, 404), ("invented", 401)):
        asked = cloud.call("GET", "/api/config", authorization=f"Bearer {bearer}", x_org_id=theirs)
        assert (asked.status, asked.json["error"] == "no_remote_config") == (status, False)
