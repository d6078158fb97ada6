"""Shares in the console: they are listed, found, changed and revoked, by their owner or by an admin."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.permissions import Role
from tests.menu import console_menu
from tests.unit.console.office import Office


def test_an_admin_finds_changes_and_revokes_shares_of_others(office: Office) -> None:
    member = office.people[Role.MEMBER]
    one = office.shared(member, "Fix the <b>parser</b>")
    office.shared(member, "Write the docs")
    browser, page = office.browser(Role.ADMIN), f"{office.base}/shares"
    listed = browser.open(page)
    assert all(words in listed.text for words in ("Fix the <b>parser</b>", "Write the docs", member.name))
    assert "<b>parser" not in listed.answer.text
    found = browser.open(f"{page}?search=PARSER&mode=link")
    assert "Write the docs" not in found.text
    shown = browser.open(f"{page}/{one}")
    assert f"/share/{one}" in shown.text
    weak = browser.submit(shown, f"{page}/{one}", mode="password", password="short")
    assert (weak.status, "at least 8 characters" in weak.text) == (422, True)
    saved = browser.submit(shown, f"{page}/{one}", mode="password", password="long enough", expires="2099-01-31")
    assert "Share changed" in saved.text
    assert "anyone with the link and the password" in saved.text
    assert "1 February 2099" in saved.text
    asked = browser.submit(browser.open(page), f"{page}/revoke", share=[one])
    assert "Revoke “Fix the <b>parser</b>”?" in asked.text
    assert "Fix the" in browser.open(page).text
    assert "Revoked" in browser.submit(asked, f"{page}/revoke").text
    assert "Fix the" not in browser.open(page).text


def test_a_member_sees_and_governs_their_own_shares_only(office: Office) -> None:
    theirs = office.shared(office.people[Role.ADMIN], "Secret plans")
    office.shared(office.people[Role.MEMBER], "My session")
    browser, page = office.browser(Role.MEMBER), f"{office.base}/shares"
    listed = browser.open(page)
    assert ("My session" in listed.text, "Secret plans" in listed.text) == (True, False)
    assert browser.open(f"{page}/{theirs}").status == 404
    form = listed.forms[f"{page}/revoke"].fields
    answer = browser.go(f"{page}/revoke", {**form, "share": theirs, "confirmed": "1"})
    assert answer.status_code == 303
    assert "Secret plans" in office.browser(Role.ADMIN).open(page).text


def test_many_are_revoked_at_once_and_none_without_a_choice(office: Office) -> None:
    ids = [office.shared(office.people[Role.OWNER], f"Session {number}") for number in range(3)]
    browser, page = office.browser(Role.OWNER), f"{office.base}/shares"
    refused = browser.submit(browser.open(page), f"{page}/revoke")
    assert (refused.status, "Choose at least one share" in refused.text) == (422, True)
    asked = browser.submit(browser.open(page), f"{page}/revoke", share=ids)
    assert "Revoke 3 shares?" in asked.text
    browser.submit(asked, f"{page}/revoke", share=ids)
    assert "type /share" in browser.open(page).text


@pytest.mark.parametrize("role", [Role.BILLING, Role.VIEWER])
def test_roles_that_cannot_share_have_no_page(office: Office, role: Role) -> None:
    assert office.browser(role).open(f"{office.base}/shares").status == 403


def test_its_menu_leads_to_every_other_page_and_to_sign_out(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    shares = browser.open(f"{office.base}/shares")
    assert {office.base + page.path for page in console_menu()} - {*shares.links} == set()
    out = browser.open("/logout")
    assert "/logout" in shares.links
    assert browser.submit(out, "/logout").path == "/"
    assert browser.open(f"{office.base}/shares").path.startswith("/login")
