"""Forwarding headers are believed only from the CDN, whichever of them a caller makes up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.http.requests import is_secure, request_of, same_origin, subject_of
from opencode_cloud.kit import http_events
from opencode_cloud.kit.edge import EDGE, ORIGIN_HEADER, VIEWER_HEADER, behind_edge

SECRET = "the CDN's secret"
SEEN = "198.51.100.7"
NAMES = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "host", "x-real-ip", VIEWER_HEADER)
MADE_UP = st.dictionaries(st.sampled_from([*NAMES, ORIGIN_HEADER]), st.text(max_size=60), max_size=8)


def handled(headers: dict[str, str], secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """Return the event that a handler behind the edge gets."""
    event = {
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "sourceIp": SEEN}, "domainName": "api.example"},
        **more,
    }
    return behind_edge(lambda event, _context: event, lambda: secret)(event, None)


@given(MADE_UP, st.sampled_from([SECRET, ""]))
def test_nothing_that_a_caller_makes_up_is_believed(headers: dict[str, str], secret: str) -> None:
    if headers.get(ORIGIN_HEADER) == SECRET:
        return
    event = handled(headers, secret)
    assert http_events.source_address(event) == request_of(event).address == subject_of(event) == SEEN
    assert http_events.base_url(event, "") == "https://api.example"
    assert is_secure(event)
    assert not same_origin({**event, "headers": {**headers, "origin": "https://evil.example"}})


@given(MADE_UP)
def test_an_event_that_did_not_pass_the_entrance_is_not_believed(headers: dict[str, str]) -> None:
    event = {key: value for key, value in handled({**headers, ORIGIN_HEADER: SECRET}).items() if key != EDGE}
    assert http_events.source_address(event) == SEEN
    assert http_events.base_url(event, "") == "https://api.example"


def test_the_cdn_names_the_viewer_and_our_host() -> None:
    headers = {
        ORIGIN_HEADER: SECRET,
        VIEWER_HEADER: "203.0.113.9",
        "x-forwarded-for": "6.6.6.6, 203.0.113.9",
        "x-forwarded-host": "cloud.example",
        "host": "api.example",
    }
    event = handled(headers)
    assert http_events.source_address(event) == "203.0.113.9"
    assert http_events.base_url(event, "") == "https://cloud.example"
    assert http_events.base_url(event, "https://ours.example/") == "https://ours.example"


def test_the_secret_is_fetched_only_for_a_request_that_names_one() -> None:
    def secret() -> str:
        raise AssertionError

    event = behind_edge(lambda event, _context: event, secret)(
        {"headers": {"x-forwarded-for": "6.6.6.6"}, "requestContext": {"http": {"sourceIp": SEEN}}}, None
    )
    assert http_events.source_address(event) == SEEN


@pytest.mark.parametrize("proven", [True, False])
def test_a_sockets_handshake_is_read_alike(proven: bool) -> None:
    headers = {VIEWER_HEADER: "203.0.113.9", **({ORIGIN_HEADER: SECRET} if proven else {})}
    event = handled(headers, requestContext={"eventType": "CONNECT", "identity": {"sourceIp": SEEN}})
    assert http_events.source_address(event) == ("203.0.113.9" if proven else SEEN)
