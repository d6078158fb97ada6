"""Authorization codes with PKCE: the whole flow, and the known attacks on it."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from opencode_cloud.contracts.ids import AccountId
from tests.emulator.identity.conftest import CALLBACK, CHALLENGE, ISSUER, VERIFIER, Cloud


def test_a_code_is_exchanged_for_tokens_of_its_person(cloud: Cloud) -> None:
    account = cloud.person()
    answer = cloud.authorize(AccountId(account))
    assert answer.status == 302
    assert answer.location.startswith(CALLBACK + "?")
    query = parse_qs(urlsplit(answer.location).query)
    assert (query["state"], query["iss"]) == (["s1"], [ISSUER])
    got = cloud.exchange(query["code"][0])
    assert got.status == 200
    assert cloud.get("/api/user", got.json["access_token"]).json["id"] == account
    assert cloud.refresh(got.json["refresh_token"], "opencode-web").status == 200


def test_a_person_who_denies_sends_the_client_away(cloud: Cloud) -> None:
    query = parse_qs(urlsplit(cloud.authorize(None).location).query)
    assert (query["error"], query["state"], query["iss"]) == (["access_denied"], ["s1"], [ISSUER])


def test_a_code_that_is_used_twice_ends_what_it_was_used_for(cloud: Cloud) -> None:
    code = cloud.code(cloud.person())
    first = cloud.exchange(code).json
    again = cloud.exchange(code)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert cloud.get("/api/user", first["access_token"]).status == 401
    assert cloud.refresh(first["refresh_token"], "opencode-web").json["error"] == "invalid_grant"


def test_of_exchanges_at_once_at_most_one_succeeds(cloud: Cloud) -> None:
    code = cloud.code(cloud.person())
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: cloud.exchange(code), range(8)))
    assert sorted(reply.status for reply in replies) in ([200] + [400] * 7, [400] * 8)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:43118/callback"}, "invalid_grant"),
        ({"client_id": "opencode-cli"}, "unauthorized_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"code": "x" * 43}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
    ],
)
def test_an_exchange_that_differs_from_the_request_is_refused(
    cloud: Cloud, changes: dict[str, str], error: str
) -> None:
    refused = cloud.exchange(cloud.code(cloud.person()), **changes)
    assert (refused.status, refused.json["error"]) == (400, error)
    assert refused.json["error_description"]


def test_an_expired_code_is_refused(cloud: Cloud) -> None:
    before = {row["pk"]["S"] for row in cloud.rows("code#")}
    code = cloud.code(cloud.person())
    (new,) = {row["pk"]["S"] for row in cloud.rows("code#")} - before
    cloud.change(new, expires_at=1)
    assert cloud.exchange(code).json["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": "", "code_challenge_method": ""},
        {"code_challenge_method": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"code_challenge": "short"},
    ],
)
def test_pkce_cannot_be_left_out_or_weakened(cloud: Cloud, changes: dict[str, str]) -> None:
    answer = cloud.authorize(AccountId(cloud.person()), **changes)
    query = parse_qs(urlsplit(answer.location).query)
    assert answer.location.startswith(CALLBACK + "?")
    assert query["error"] == ["invalid_request"]
    assert "code" not in query


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:43117@evil.example/callback",
        "http://evil.example#@127.0.0.1/callback",
        "http://127.0.0.1:43117/callback/../elsewhere",
        "http://127.0.0.1:43117/callback?next=https://evil.example",
        "http://127.0.0.1:43117/callback#fragment",
        "http://127.0.0.1:99999/callback",
        "https://127.0.0.1:43117/callback",
        "http://localhost:43117/callback",
        "http://127.1/callback",
        "http://2130706433/callback",
        "http://127.0.0.1:43117/Callback",
        "javascript:alert(1)",
        "//127.0.0.1/callback",
        "http://127.0.0.1:43117/callbäck",
        'http://127.0.0.1:43117/callback"',
        "http://127.0.0.1:43117\\@evil.example/callback",
    ],
)
def test_no_answer_goes_to_an_address_that_is_not_registered(cloud: Cloud, uri: str) -> None:
    for account_id in (AccountId(cloud.person()), None):
        answer = cloud.authorize(account_id, redirect_uri=uri)
        assert answer.location == ""
        assert (answer.status, answer.document["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("uri", ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://[::1]:8/callback"])
def test_a_program_on_the_persons_machine_may_listen_on_any_port(cloud: Cloud, uri: str) -> None:
    assert cloud.authorize(AccountId(cloud.person()), redirect_uri=uri).location.startswith(uri + "?")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "opencode-cli"}, "unauthorized_client"),
        ({"client_id": "somebody"}, "invalid_client"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
    ],
)
def test_only_the_web_client_may_ask_for_codes_and_for_nothing_else(
    cloud: Cloud, changes: dict[str, str], error: str
) -> None:
    answer = cloud.authorize(AccountId(cloud.person()), **changes)
    query = parse_qs(urlsplit(answer.location).query)
    assert (query.get("error") or [answer.document.get("error")]) == [error]
    assert "code" not in query
