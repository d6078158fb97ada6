"""Forms of signing in and of devices: nothing typed is lost, and a second click is no error."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from opencode_cloud.contracts.permissions import Role
from opencode_cloud.identity.service.devices import Devices, new_user_code
from opencode_cloud.identity.service.sessions import Origin
from opencode_cloud.identity.store.codes import CodesStore
from tests.browsing import Page
from tests.unit.console.office import Answered, InProcessBrowser, Office

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database
    from tests.unit.aws import Cloud

BROWSER = "__Host-opencode_browser"


def page_of(answer: Answered) -> Page:
    return Page(answer)  # pyright: ignore[reportArgumentType]: it has what a page reads


def waiting(office: Office) -> str:
    """Return the user code of a device that waits."""
    code = new_user_code()
    devices = Devices(CodesStore("sessions"), office.plane.deployment_key)
    devices.begin("opencode-cli", secrets.token_urlsafe(32), code, Origin("203.0.113.7", "opencode"))
    return code


def anonymous(office: Office) -> InProcessBrowser:
    """Return a browser that keeps the cookie of a browser before sign-in."""
    browser = office.browser(None)
    browser.language = f"en; {BROWSER}={secrets.token_urlsafe(32)}"
    return browser


def entries(office: Office) -> list[str]:
    with office.database.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT action FROM audit_entries").fetchall()
    return [str(row[0]) for row in rows if str(row[0]).startswith("device.")]


@pytest.mark.parametrize(("decision", "words"), [("approve", "Device approved"), ("deny", "Device denied")])
def test_a_device_that_is_settled_by_two_clicks_is_settled_once(office: Office, decision: str, words: str) -> None:
    browser, code = office.browser(Role.OWNER), waiting(office)
    shown = browser.open(f"/device?user_code={code}")
    for _ in range(2):
        assert words in browser.submit(shown, "/device", decision=decision).text
    assert entries(office) == [f"device.{'approved' if decision == 'approve' else 'denied'}"]
    other = "deny" if decision == "approve" else "approve"
    assert browser.submit(shown, "/device", decision=other).status == 404
    somebody = office.browser(Role.MEMBER)
    theirs = somebody.open(f"/device?user_code={waiting(office)}")
    assert somebody.submit(theirs, "/device", decision=decision, user_code=code).status == 404


def test_a_code_of_a_device_is_kept_while_the_person_signs_in(office: Office) -> None:
    code = waiting(office)
    answer = office.browser(None).go("/device", {"user_code": code, "decision": "approve"})
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"continue": [f"/device?user_code={code}"]}
    assert code in office.browser(Role.OWNER).open(f"/device?user_code={code}").text
    for odd in ("", "//evil.example", "\r\nLocation: x"):
        answer = office.browser(None).go("/device", {"user_code": odd, "decision": "approve"})
        assert answer.headers["location"].startswith(f"/login?continue={quote('/device', safe='')}")
        assert "evil.example" not in answer.headers["location"]


def test_a_limit_of_mails_keeps_address_and_destination(office: Office) -> None:
    browser = anonymous(office)
    form = page_of(browser.go("/login?continue=%2Fdevice")).forms["/login/email"].fields
    sent = {**form, "email": "ada@example.com"}
    answers = [browser.go("/login/email", sent) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [303] * 5 + [429]
    fields = page_of(answers[-1]).forms["/login/email"].fields
    assert (fields["email"], fields["continue"]) == ("ada@example.com", "/device")
    assert int(answers[-1].headers["retry-after"]) > 0


def test_after_a_refusal_by_the_provider_another_way_leads_to_the_same_page(
    cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {"email": {}, "github": {"client_id": "cloud", "client_secret": "s"}}
    office = Office(cloud, database, monkeypatch, LOGIN_METHODS=json.dumps(methods))
    browser = anonymous(office)
    begun = browser.go("/login/github?continue=%2Fdevice%3Fuser_code%3DBCDF-GHJK")
    [state] = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
    back = browser.go(f"/auth/callback/github?error=access_denied&state={state}")
    assert back.status_code == 403
    assert "GitHub did not sign you in" in page_of(back).text
    assert page_of(back).forms["/login/email"].fields["continue"] == "/device?user_code=BCDF-GHJK"
    again = browser.go(f"/auth/callback/github?error=access_denied&state={state}")
    assert page_of(again).forms["/login/email"].fields["continue"] == "/"


@pytest.mark.parametrize("path", ["/login/email", "/login/code", "/device", "/account", "/invitations/x", "/logout"])
def test_a_form_with_too_many_fields_is_refused(office: Office, path: str) -> None:
    fields = {f"field{number}": "x" for number in range(100)}
    for who in (None, Role.OWNER):
        action = f"{path}/sessions/end" if path == "/account" else path
        assert office.browser(who).go(action, fields).status_code in {303, 400, 403}
