"""Settings in the console: each section for its roles, and the name typed before what cannot be undone."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.permissions import Role
from tests.unit.console.office import Office


def test_an_owner_renames_and_sets_the_retention(office: Office) -> None:
    browser, action = office.browser(Role.OWNER), f"{office.base}/settings"
    page = browser.open(action)
    wrong = browser.submit(page, action, name="", audit_retention_days="many")
    assert wrong.status == 422
    assert "Write a whole number" in wrong.text
    saved = browser.submit(page, action, name="Ajax <i>", audit_retention_days="90")
    assert ("Settings saved" in saved.text, "<i>" in saved.answer.text) == (True, False)
    workspace = office.team.workspaces.get(office.workspace)
    assert (workspace.name, workspace.audit_retention_days) == ("Ajax <i>", 90)
    assert browser.submit(page, action, name="Late").status == 412


def test_an_admin_sets_name_and_headers_but_no_retention(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/settings"
    page = browser.open(action)
    assert "audit_retention_days" not in page.forms[action].fields
    browser.submit(page, action, name="Ajax", audit_retention_days="31")
    assert office.team.workspaces.get(office.workspace).audit_retention_days == 365
    used = browser.submit(page, f"{action}/usage", metadata_days="7", project_headers="x-cost-center")
    assert used.forms[f"{action}/usage"].fields == {
        **used.forms[f"{action}/usage"].fields,
        "metadata_days": "7",
        "project_headers": "x-cost-center",
    }
    wrong = browser.submit(page, f"{action}/usage", metadata_days="7", project_headers="authorization")
    assert (wrong.status, "cannot name projects" in wrong.text) == (422, True)


def test_a_domain_is_added_with_the_record_to_publish_and_removed_after_a_question(office: Office) -> None:
    browser, page = office.browser(Role.ADMIN), f"{office.base}/settings"
    added = browser.submit(browser.open(page), f"{page}/domains", domain="example.org", role="viewer")
    assert "Publish the TXT record" in added.text
    assert "By invitation only" not in added.text
    [remove] = [link for link in added.links if link.endswith("/remove")]
    assert remove not in added.forms
    asked = browser.open(remove)
    assert "Remove example.org?" in asked.text
    assert "People who joined by it stay members" in asked.text
    assert page in asked.links
    assert [each.domain for each in office.team.domains.of_workspace(office.workspace)] == ["example.org"]
    assert "Domain removed" in browser.submit(asked, remove).text
    assert (browser.open(remove).status, office.team.domains.of_workspace(office.workspace)) == (404, [])


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER, Role.BILLING])
def test_only_a_role_that_removes_a_domain_is_asked(office: Office, role: Role) -> None:
    domain = office.team.domains.add(
        office.acting(office.owner), office.workspace, "example.org", Role.MEMBER, auto_join=True
    )
    page = f"{office.base}/settings/domains/{domain.id}/remove"
    assert office.browser(role).open(page).status == 403


def test_nothing_is_deleted_transferred_or_left_without_the_name(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/settings"
    new_owner = office.acting(office.people[Role.ADMIN])
    shown = browser.open(page)
    wrong = browser.submit(shown, f"{page}/transfer", member=new_owner.id, transfer_name="acme")
    assert (wrong.status, "Type the name exactly: Acme" in wrong.text) == (422, True)
    assert browser.submit(browser.open(f"{page}/delete"), f"{page}/delete", name="").status == 422
    done = browser.submit(shown, f"{page}/transfer", member=new_owner.id, transfer_name="Acme")
    assert "You are an admin now" in done.text
    assert browser.open(f"{page}/delete").status == 403
    theirs = office.browser(Role.ADMIN)
    deleted = theirs.submit(theirs.open(f"{page}/delete"), f"{page}/delete", name="Acme")
    assert "Deleted workspaces" in deleted.text
    assert theirs.open(office.base).status == 404
    assert theirs.submit(deleted, f"{office.base}/restore").path == office.base


def test_a_member_leaves(office: Office) -> None:
    browser, page = office.browser(Role.MEMBER), f"{office.base}/settings"
    shown = browser.open(page)
    assert f"{page}/delete" not in shown.links
    assert browser.submit(shown, f"{page}/leave", leave_name="Acme").path == "/console"
    assert browser.open(office.base).status == 404
