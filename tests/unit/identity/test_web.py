"""The sender of a request, and the proofs that unsafe requests need."""

from typing import Any

import pytest

from opencode_cloud.http import requests
from opencode_cloud.kit.edge import EDGE, ORIGIN_HEADER, Forwarded
from opencode_cloud.kit.errors import Forbidden


def event(method: str = "POST", cookies: list[str] | None = None, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {ORIGIN_HEADER: "proof", "x-forwarded-host": "cloud.example", **named}
    return {
        "headers": sent,
        "cookies": cookies or [],
        "requestContext": {"http": {"method": method, "sourceIp": "198.51.100.7"}, "domainName": "api.example"},
        EDGE: Forwarded(sent, lambda: "proof"),
    }


SIGNED_IN = ["other=1", "__Host-opencode_session=abc"]


@pytest.mark.parametrize(
    ("headers", "bearer"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer abc"}, "abc"),
        ({"authorization": "Basic abc"}, ""),
        ({"x_api_key": "abc"}, "abc"),
        ({"authorization": "Basic abc", "x_api_key": "def"}, "def"),
        ({}, ""),
    ],
)
def test_the_credential_is_a_bearer_or_a_key_header(headers: dict[str, str], bearer: str) -> None:
    assert requests.request_of(event("POST", None, **headers)).bearer == bearer


def test_the_cookie_counts_only_under_the_name_that_fits_the_scheme() -> None:
    assert requests.request_of(event(cookies=SIGNED_IN)).cookie == "abc"
    assert requests.request_of(event(cookies=["opencode_session=abc"])).cookie == ""
    assert requests.request_of(event(cookies=["opencode_session=abc"], x_forwarded_proto="http")).cookie == "abc"
    assert requests.request_of({**event(cookie="a=b; __Host-opencode_session=abc"), "cookies": None}).cookie == "abc"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("__Host-opencode_session=abc", "abc"),
        (' __Host-opencode_session="abc" ; a=b', "abc"),
        ("a=b=c;__Host-opencode_session=a=b", "a=b"),
        ("a={}, b; :=; __Host-opencode_session=abc", "abc"),
        ("__Host-opencode_session=abc; __Host-opencode_session=def", "abc"),
        ("x__Host-opencode_session=abc; a=__Host-opencode_session=abc", ""),
        ("__Host-opencode_session", ""),
    ],
)
def test_a_cookie_is_found_beside_cookies_of_any_form(line: str, value: str) -> None:
    assert requests.cookie(event(cookies=[line]), requests.SESSION_COOKIE) == value
    assert requests.cookie(event(cookie=line), requests.SESSION_COOKIE) == value


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("POST", {"sec_fetch_site": "same-origin"}, False),
        ("POST", {"sec_fetch_site": "same-site", "origin": "https://cloud.example"}, True),
        ("POST", {"sec_fetch_site": "cross-site"}, True),
        ("POST", {"sec_fetch_site": "none"}, True),
        ("POST", {"origin": "https://cloud.example"}, False),
        ("POST", {"origin": "https://cloud.example.evil.example"}, True),
        ("POST", {"origin": "null"}, True),
        ("POST", {}, True),
        ("DELETE", {}, True),
        ("POST", {"authorization": "Bearer abc", "sec_fetch_site": "cross-site"}, False),
        ("GET", {"sec_fetch_site": "cross-site"}, False),
    ],
)
def test_unsafe_requests_by_cookie_must_come_from_our_own_pages(
    method: str, headers: dict[str, str], refused: bool
) -> None:
    asked = event(method, SIGNED_IN, **headers)
    if refused:
        with pytest.raises(Forbidden, match="not sent by a page"):
            requests.check_same_origin(asked)
    else:
        requests.check_same_origin(asked)


def test_a_form_is_valid_for_one_browser_and_one_action() -> None:
    token = requests.form_token("key", "browser", "/device")
    requests.check_form_token("key", "browser", "/device", token)
    for wrong in (("key", "other", "/device"), ("key", "browser", "/login"), ("other", "browser", "/device")):
        with pytest.raises(Forbidden):
            requests.check_form_token(*wrong, token)
    with pytest.raises(Forbidden):
        requests.check_form_token("key", "", "/device", requests.form_token("key", "", "/device"))


def test_cookies_are_unreadable_for_scripts_and_bound_to_the_host() -> None:
    assert requests.set_cookie(event(), "opencode_session", "abc", 60) == (
        "__Host-opencode_session=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60"
    )
