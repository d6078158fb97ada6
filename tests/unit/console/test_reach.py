"""People reach every page of the console by links from `/`, and every link answers."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import pytest

from opencode_cloud.contracts.permissions import Role, allows
from tests.menu import console_menu
from tests.unit.console.office import Office

MOST_PAGES = 200
ELSEWHERE = re.compile(r"/(assets|share)/|^/api/(?!docs)")
"""Links that lead to files, to shares and to the API, which other tests follow."""


def crawl(office: Office, role: Role) -> dict[str, int]:
    """Follow all links from `/`, one page for each path; return the status of each path."""
    browser, statuses, todo = office.browser(role), dict[str, int](), ["/"]
    while todo:
        path = todo.pop(0)
        if urlsplit(path).path in statuses:
            continue
        page = browser.open(path)
        statuses[urlsplit(path).path] = page.status
        assert len(statuses) < MOST_PAGES
        assert page.answer.headers["content-type"].startswith("text/html"), path
        todo += [link for link in page.links if link.startswith("/") and not ELSEWHERE.search(link)]
    return statuses


@pytest.mark.parametrize("role", Role)
def test_every_page_is_reached_by_links_and_every_link_answers(office: Office, role: Role) -> None:
    office.team.workspaces.create(office.people[role], "Another")
    statuses = crawl(office, role)
    assert {path: status for path, status in statuses.items() if status != 200} == {}
    expected = {office.base + page.path for page in console_menu() if allows(role, None, page.permission)}
    assert expected - {*statuses} == set()


def test_a_person_switches_between_workspaces_and_stays_on_the_page(office: Office) -> None:
    admin = office.people[Role.ADMIN]
    other = office.team.workspaces.create(admin, "Another").id
    page = office.browser(Role.ADMIN).open(f"{office.base}/members")
    assert f"/console/{other}/members" in page.links
    assert "/account" in page.links
    assert "/logout" in page.forms


def test_a_page_that_does_not_exist_is_a_page_for_people(office: Office) -> None:
    for path in ("/console/wrk_x", f"{office.base}/nothing", "/invitations/x", "/device/x"):
        page = office.browser(Role.OWNER).open(path)
        assert (page.status, page.answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
        assert "/" in page.links


def test_a_form_sent_after_the_session_ended_leads_to_sign_in_and_back_to_its_page(office: Office) -> None:
    page = office.browser(Role.ADMIN).open(f"{office.base}/members")
    fields = {**page.forms[f"{office.base}/invitations"].fields, "email": "bob@example.com"}
    answer = office.browser(None).go(f"{office.base}/invitations", fields)
    assert answer.status_code == 303
    sign_in = office.browser(None).open(answer.headers["location"])
    assert "Your session ended before your form was sent" in sign_in.text
    proceed = sign_in.forms["/login/email"].fields["continue"]
    assert proceed == f"{office.base}/members?unsent=1"
    back = office.browser(Role.ADMIN).open(proceed)
    assert "nothing was changed. Check the form, and send it again" in back.text
    assert not office.team.invitations.of_workspace(office.workspace, limit=10)[4:]


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/account/sessions/end", "/account"),
        ("/device", "/device"),
        ("/console", "/console/new?unsent=1"),
        ("/logout", ""),
    ],
)
def test_people_without_a_session_never_read_a_sentence_for_programs(office: Office, path: str, page: str) -> None:
    answer = office.browser(None).go(path, {"token": "x"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/login?continue={quote(page, safe='')}" if page else "/login",
    )


def test_a_form_of_an_earlier_session_is_shown_again_with_what_was_typed(office: Office) -> None:
    browser = office.browser(Role.ADMIN)
    page = browser.open(f"{office.base}/members")
    fields = {
        **page.forms[f"{office.base}/invitations"].fields,
        "email": "bob@example.com",
        "token": "of another session",
    }
    shown = browser.submit(page, f"{office.base}/invitations", **fields)
    assert (shown.status, "no longer valid" in shown.text) == (403, True)
    assert shown.forms[f"{office.base}/invitations"].fields["email"] == "bob@example.com"
    assert "Invitation sent" in browser.submit(shown, f"{office.base}/invitations").text


def test_a_person_creates_a_workspace_and_restores_a_deleted_one(office: Office) -> None:
    browser = office.browser(Role.VIEWER)
    form = browser.open("/console/new")
    assert "name" in browser.submit(form, "/console", name=" ").text.lower()
    made = browser.submit(form, "/console", name="Mine & <b>yours")
    assert made.status == 200
    workspace = made.path.split("/")[2]
    assert "<b>yours" not in made.answer.text
    actor = office.acting(office.people[Role.VIEWER], workspace)
    office.team.workspaces.delete(actor, actor.workspace_id, 1)
    listed = browser.open("/console")
    assert browser.submit(listed, f"/console/{workspace}/restore").path == f"/console/{workspace}"
