"""Members in the console: many are invited at once, and roles are saved together."""

from __future__ import annotations

import re

from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.workspaces.models import InvitationState
from tests.unit.console.office import Office
from tests.unit.usage.events import entry


def invited(office: Office) -> set[str]:
    pending = office.team.invitations.of_workspace(office.workspace, state=InvitationState.PENDING)
    return {invitation.email for invitation in pending}


def test_many_are_invited_by_one_form(office: Office) -> None:
    browser, page = office.browser(Role.ADMIN), f"{office.base}/members"
    action = f"{office.base}/invitations"
    sent = browser.submit(
        browser.open(page), action, email="a@example.com, b@example.com\r\nc@example.com;", role="viewer"
    )
    assert "Invitations sent" in sent.text
    assert invited(office) == {f"{name}@example.com" for name in "abc"}


def test_one_malformed_address_stops_all_and_a_known_one_stops_only_itself(office: Office) -> None:
    browser, page = office.browser(Role.ADMIN), f"{office.base}/members"
    action = f"{office.base}/invitations"
    wrong = browser.submit(browser.open(page), action, email="a@example.com\nnonsense", role="member")
    assert (wrong.status, "nonsense is no e-mail address" in wrong.text) == (422, True)
    assert wrong.forms[action].fields["email"] == "a@example.com\nnonsense"
    assert invited(office) == set()
    known = office.people[Role.MEMBER].name
    partly = browser.submit(wrong, action, email=f"a@example.com\n{known}", role="member")
    assert "1 invitation sent" in partly.text
    assert "is a member already" in partly.text
    assert partly.forms[action].fields["email"] == known
    assert invited(office) == {"a@example.com"}


def test_roles_are_saved_together_and_more_rights_need_a_second_look(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/members"
    member, viewer = (office.acting(office.people[role]) for role in (Role.MEMBER, Role.VIEWER))
    shown = browser.open(page)
    assert "No role was changed" in browser.submit(shown, page).text
    asked = browser.submit(shown, page, **{f"role:{member.id}": "viewer", f"role:{viewer.id}": "admin"})
    assert f"{viewer.name} : viewer → admin" in asked.text
    assert office.acting(office.people[Role.VIEWER]).role == "viewer"
    assert "Roles changed" in browser.submit(asked, page).text
    assert office.acting(office.people[Role.VIEWER]).role == "admin"
    assert office.acting(office.people[Role.MEMBER]).role == "viewer"


def test_an_admin_cannot_make_an_owner(office: Office) -> None:
    browser, page = office.browser(Role.ADMIN), f"{office.base}/members"
    member = office.acting(office.people[Role.MEMBER])
    owner = office.acting(office.owner)
    shown = browser.open(page)
    assert f"role:{owner.id}" not in shown.forms[page].fields
    refused = browser.submit(shown, page, **{f"role:{member.id}": "owner"}, confirmed="1")
    assert (refused.status, "Only an owner" in refused.text) == (403, True)


def test_people_are_not_offered_to_remove_themselves_and_only_readers_of_usage_see_costs(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    at = int(utc_now().timestamp() * 1000)
    office.ingest([entry(1, workspace_id=office.workspace, at=at, member_id=member.id)])
    own = office.acting(office.people[Role.ADMIN])
    page = office.browser(Role.ADMIN).open(f"{office.base}/members")
    assert f"{office.base}/members/{own.id}/remove" not in page.links
    assert f"{office.base}/members/{member.id}/remove" in page.links
    assert "$1.50 this month" in page.text
    assert not re.search("this month", office.browser(Role.VIEWER).open(f"{office.base}/members").text)


def test_roles_that_somebody_else_changed_meanwhile_are_not_set_back(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/members"
    owner, member, viewer = (office.acting(office.people[role]) for role in (Role.OWNER, Role.MEMBER, Role.VIEWER))
    shown = browser.open(page)
    office.team.members.change_role(owner, office.workspace, MemberId(member.id), Role.VIEWER)
    saved = browser.submit(shown, page, **{f"role:{viewer.id}": "billing"})
    assert "Roles changed" in saved.text
    assert office.acting(office.people[Role.MEMBER]).role == "viewer"
    assert office.acting(office.people[Role.VIEWER]).role == "billing"


def test_a_role_that_two_people_change_is_shown_before_it_is_changed_again(office: Office) -> None:
    browser, page = office.browser(Role.OWNER), f"{office.base}/members"
    owner, member, viewer = (office.acting(office.people[role]) for role in (Role.OWNER, Role.MEMBER, Role.VIEWER))
    shown = browser.open(page)
    office.team.members.change_role(owner, office.workspace, MemberId(member.id), Role.VIEWER)
    chosen = {f"role:{member.id}": "billing", f"role:{viewer.id}": "member"}
    refused = browser.submit(shown, page, **chosen)
    assert (refused.status, "somebody else has changed a role" in refused.text) == (409, True)
    fields = refused.forms[page].fields
    assert chosen.items() <= fields.items()
    assert fields[f"shown:{member.id}"] == "viewer"
    assert [office.acting(office.people[role]).role for role in (Role.MEMBER, Role.VIEWER)] == ["viewer", "viewer"]
    assert "Roles changed" in browser.submit(refused, page).text
    assert [office.acting(office.people[role]).role for role in (Role.MEMBER, Role.VIEWER)] == ["billing", "member"]


def test_a_form_of_invitations_that_is_sent_twice_invites_once_and_reports_no_error(office: Office) -> None:
    browser, page = office.browser(Role.ADMIN), f"{office.base}/members"
    action = f"{office.base}/invitations"
    shown = browser.open(page)
    for _ in range(2):
        assert "Invitation sent" in browser.submit(shown, action, email="zoe@example.com", role="viewer").text
    assert invited(office) == {"zoe@example.com"}
