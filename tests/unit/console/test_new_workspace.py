"""The form of a new workspace: it counts once, and keeps the name through an ended session."""

from __future__ import annotations

from opencode_cloud.contracts.ids import AccountId
from opencode_cloud.contracts.permissions import Role
from tests.browsing import Page
from tests.unit.console.office import Answered, InProcessBrowser, Office

FORM = "/console"


def names(office: Office) -> list[str]:
    memberships = office.team.workspaces.memberships(AccountId(office.owner.account_id))
    return sorted(each.name for each in memberships)


def page_of(answer: Answered) -> Page:
    return Page(answer)  # pyright: ignore[reportArgumentType]: it has what a page reads


def filled(browser: InProcessBrowser, name: str) -> dict[str, str]:
    return {**browser.open("/console/new").forms[FORM].fields, "name": name}


def test_a_form_that_is_sent_twice_creates_one_workspace(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    sent = filled(browser, "Ajax")
    first, second = (browser.go(FORM, sent) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    assert names(office) == ["Acme", "Ajax"]
    browser.go(FORM, filled(browser, "Ajax"))
    assert names(office) == ["Acme", "Ajax", "Ajax"]


def test_a_form_of_an_earlier_session_is_shown_again_with_its_name(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    refused = page_of(browser.go(FORM, {**filled(browser, "Ajax"), "token": "of another session"}))
    assert (refused.status, refused.forms[FORM].fields["name"]) == (403, "Ajax")
    assert "you signed in again" in refused.text
    assert names(office) == ["Acme"]
    browser.submit(refused, FORM)
    assert names(office) == ["Acme", "Ajax"]


def test_without_a_session_the_person_signs_in_and_comes_back_to_the_form(office: Office) -> None:
    answer = office.browser(None).go(FORM, {"name": "Ajax"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?continue=%2Fconsole%2Fnew%3Funsent%3D1")
    page = office.browser(Role.OWNER).go("/console/new?unsent=1")
    assert "Your session ended before the form was sent" in page.text
    assert "data-unsent" in page.text
    assert "console.js" in page.text


def test_a_name_that_is_refused_is_kept(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    refused = page_of(browser.go(FORM, filled(browser, "a\u202eb")))
    assert (refused.status, refused.forms[FORM].fields["name"]) == (400, "a\u202eb")
