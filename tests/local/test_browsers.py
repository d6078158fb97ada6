"""A page of another site, or one that rebinds its name to this machine, reads nothing of the local stage."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.browsers import is_foreign, is_ours
from local.emulator.admission import refusal
from local.front_door.settings import Settings
from local.mailbox import Mailbox
from tests.waiting import PATIENCE

OURS = [
    "localhost",
    "LOCALHOST:8787",
    "127.0.0.1:1",
    "127.9.8.7",
    "[::1]:8787",
    "api.execute-api.localhost:4",
    "localhost.",
]
OTHERS = [
    "",
    "evil.example",
    "rebind.evil.example:8787",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "127.0.0.1@evil.example",
    "evil.example#localhost",
    "0.0.0.0:8787",
    "192.168.0.2",
    "[::]",
    "[::ffff:192.168.0.2]",
    "2130706433.example",
    "[",
]


@pytest.mark.parametrize("host", OURS)
def test_names_of_the_loopback_interface_are_ours(host: str) -> None:
    assert is_ours(host)
    assert not is_foreign(f"http://{host}", "cross-site", "cors")


@pytest.mark.parametrize("host", OTHERS)
def test_no_other_name_is_ours(host: str) -> None:
    assert not is_ours(host)
    if host:
        assert is_foreign(f"http://{host}", "", "")


def test_configured_names_are_ours() -> None:
    door = Settings(1, "", "", allowed_hosts=("Share.Example",))
    assert door.allows("share.example:443")
    assert door.allows("localhost")
    assert not door.allows("evil.example")
    assert Settings(1, "", "", trust_proxy=True).allows("any.example")
    assert not Settings(1, "", "", trust_proxy=True, allowed_hosts=("share.example",)).allows("any.example")


@given(st.text(max_size=40))
def test_any_text_may_stand_for_a_host(host: str) -> None:
    assert is_ours(host) in (True, False)


@pytest.mark.parametrize(
    ("origin", "site", "mode", "foreign"),
    [
        ("", "", "", False),
        ("", "none", "navigate", False),
        ("", "same-origin", "cors", False),
        ("", "cross-site", "navigate", False),
        ("", "cross-site", "no-cors", True),
        ("null", "", "", True),
        ("null", "cross-site", "navigate", True),
        ("null", "same-origin", "navigate", False),
        ("http://localhost:3000", "same-site", "cors", False),
        ("file://localhost", "", "", True),
        ("chrome-extension://localhost", "", "", True),
        ("https://evil.example", "same-origin", "cors", True),
    ],
)
def test_a_browser_says_which_page_asks(origin: str, site: str, mode: str, foreign: bool) -> None:
    assert is_foreign(origin, site, mode) is foreign


def scope(path: str = "/", method: str = "POST", **headers: str) -> dict[str, Any]:
    named = {"host": "127.0.0.1:4566", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {"path": path, "method": method, "headers": [(k.encode(), v.encode()) for k, v in named.items()]}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (scope(), None),
        (scope(host="evil.example"), 421),
        (scope("/_aws/execute-api/share-http/$default/health", host="evil.example"), 421),
        (scope(origin="http://evil.example"), 403),
        (scope(method="OPTIONS", origin="http://evil.example"), 403),
        (scope(method="GET", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"), 403),
        (scope("/bucket/document", "GET", origin="http://127.0.0.1:8787"), None),
        (scope(origin="http://127.0.0.1:8787"), 403),
        (scope("/_aws/execute-api/share-http/$default/api/share", origin="http://evil.example"), None),
        (scope("/_aws/execute-api/share-ws/v1/@connections/abc", origin="http://evil.example"), 403),
    ],
)
def test_the_emulator_refuses_pages_but_for_documents(asked: dict[str, Any], status: int | None) -> None:
    refused = refusal(asked)
    assert (refused[0] if refused else None) == status


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    box = Mailbox(tmp_path_factory.mktemp("mailbox"), Path(__file__).resolve().parents[2])
    box.start()
    yield box
    box.program.stop()


def test_the_mailbox_listens_to_this_machine_only(mailbox: Mailbox) -> None:
    listening = [c for c in psutil.Process(mailbox.program.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 2, "one for mails, one for readers"
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "rebind.evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
    ],
)
def test_the_mailbox_is_read_on_this_machine_only(mailbox: Mailbox, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(mailbox.url).port or 0, timeout=PATIENCE)
    connection.request("GET", "/mails.json", headers=headers)
    assert connection.getresponse().status == status
    connection.close()
