"""Groups in the console: made, filled, limited, explained on a member's page, and deleted by name."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from opencode_cloud.budgets.models.documents import CreateBudget
from opencode_cloud.catalogue.service.caching import CatalogueCache
from opencode_cloud.console import budgets
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import GroupId, MemberId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.usage.models import Selection
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.workspaces.models import ModelRules
from opencode_cloud.workspaces.requests import GroupChange
from tests.unit.console.office import Office
from tests.unit.usage.events import entry


def made(office: Office, name: str = "Research", *roles: Role) -> GroupId:
    owner = office.acting(office.owner)
    group = office.team.groups.create(owner, office.workspace, name)
    members = [MemberId(office.acting(office.people[role]).id) for role in roles]
    office.team.groups.change_members(owner, office.workspace, group.id, members)
    return group.id


def budget(office: Office, scope: BudgetScope, subject: str = "", dollars: int = 20) -> None:
    wanted = CreateBudget(
        scope=scope, subject=subject, unit=BudgetUnit.COST, period=BudgetPeriod.MONTH, limit=dollars * DOLLAR
    )
    office.budgets.budgets.create(office.acting(office.owner), office.workspace, wanted)


def test_a_group_is_made_filled_limited_and_deleted_by_its_name(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/groups"
    page = browser.open(action)
    assert "No group yet" in page.text
    group = browser.submit(page, action, name="Research")
    assert "Group created" in group.text
    one = group.path.partition("?")[0]
    member = office.people[Role.MEMBER].name
    filled = browser.submit(group, f"{one}/members", email=f"{member}\n{office.owner.name}")
    assert f"2 members · Created by {office.people[Role.ADMIN].name}" in filled.text
    limited = browser.submit(filled, f"{office.base}/budgets", limit="300")
    assert "Monthly budget of group Research" in limited.text
    changed = browser.submit(browser.open(one), one, name="Labs", allow="anthropic/*\n\nopenai/gpt-5*", deny="x/y")
    assert "Group changed" in changed.text
    assert "anthropic/*" in changed.text
    asked = browser.open(f"{one}/delete")
    assert "2 members leave the group" in asked.text
    assert "Monthly budget of group Labs, $300.00, ends with it." in asked.text
    wrong = browser.submit(asked, f"{one}/delete", name="Lab")
    assert (wrong.status, "Type the name of the group" in wrong.text) == (422, True)
    gone = browser.submit(wrong, f"{one}/delete", name="Labs")
    assert "Group deleted" in gone.text
    assert office.plane_budgets() == []
    told = browser.open(f"{office.base}/audit").text
    assert "changed the members of the group Research" in re.sub(r"\s+", " ", told)
    assert "deleted the group Labs" in re.sub(r"\s+", " ", told)


def test_faults_are_said_and_nothing_is_lost(office: Office) -> None:
    browser, one = office.browser(Role.OWNER), f"{office.base}/groups/{made(office)}"
    page = browser.open(one)
    wrong = browser.submit(page, f"{one}/members", email=f"x@example.com\n{office.owner.name}")
    assert (wrong.status, "Invite them first: x@example.com" in wrong.text) == (422, True)
    assert wrong.forms[f"{one}/members"].fields["email"].startswith("x@example.com")
    assert "The group has no members yet." in wrong.text
    bad = browser.submit(page, one, name="Research", allow="no blanks", deny="")
    assert (bad.status, "a pattern has no blanks" in bad.text) == (422, True)
    assert bad.forms[one].fields["allow"] == "no blanks"
    assert "#allow" in bad.links
    assert "Group changed" in browser.submit(page, one, name="Labs", allow="", deny="").text
    assert browser.submit(page, one, name="Old", allow="", deny="").status == 412


def test_marked_members_are_taken_out(office: Office) -> None:
    group = made(office, "Research", Role.MEMBER, Role.VIEWER)
    browser, one = office.browser(Role.OWNER), f"{office.base}/groups/{group}"
    taken = office.acting(office.people[Role.VIEWER])
    page = browser.open(one)
    assert "No member was changed" in browser.submit(page, f"{one}/members/remove").text
    assert "Members changed" in browser.submit(page, f"{one}/members/remove", member=[taken.id]).text
    assert [each.email for each in office.team.groups.members_of(office.workspace, group)] == [
        office.people[Role.MEMBER].name
    ]


def test_members_see_groups_and_do_not_change_them(office: Office) -> None:
    one = f"{office.base}/groups/{made(office, 'Research', Role.MEMBER)}"
    page = office.browser(Role.MEMBER).open(one)
    assert page.status == 200
    assert not [action for action in page.forms if action.startswith(office.base)]
    assert office.browser(Role.MEMBER).go(one, {"name": "x"}).status_code == 403


def test_a_members_page_says_which_limits_apply_from_where_and_what_is_left(office: Office) -> None:
    group = made(office, "Research", Role.MEMBER)
    member = office.acting(office.people[Role.MEMBER])
    budget(office, BudgetScope.WORKSPACE, dollars=1000)
    budget(office, BudgetScope.EACH_MEMBER, dollars=5)
    budget(office, BudgetScope.GROUP, group, 300)
    budget(office, BudgetScope.EACH_IN_GROUP, group, 40)
    path = f"{office.base}/members/{member.id}"
    page = office.browser(Role.BILLING).open(path)
    for sentence in (
        "The next call may cost at most $40.00: Monthly budget of each member of group Research has the least left.",
        "All members of the group share it.",
        "Each member of the group has it for themselves. It replaces the more general limits of the same kind.",
        "It is for all calls of the workspace.",
        "$1,000.00 left",
    ):
        assert sentence in page.text, sentence
    assert "It was set for each member of the workspace." not in page.text
    own = office.browser(Role.MEMBER).open(path)
    assert "$40.00 left" in own.text
    assert "You may not see its amounts." in own.text
    assert "$1,000.00" not in own.text
    other = office.browser(Role.VIEWER).open(path)
    assert (other.status, "Limits in force" in other.text) == (200, False)


def test_a_members_page_says_which_rule_refuses_a_model(office: Office) -> None:
    operator = office.acting(office.owner)
    office.plane.catalogue_publisher.restore(operator, 0)
    group = made(office, "Interns", Role.MEMBER)
    provider = CatalogueCache(office.plane.current_catalogue).current().provider
    models = ModelRules(allow=[f"{provider}/*haiku*"])
    office.team.groups.change(operator, office.workspace, group, 1, GroupChange(models=models))
    member = office.acting(office.people[Role.MEMBER])
    page = office.browser(Role.OWNER).open(f"{office.base}/members/{member.id}")
    assert "refused by group Interns" in page.text
    assert f"Group Interns allows {provider}/*haiku*." in page.text
    assert re.search(r"\S*haiku\S* yes", page.text)
    free = office.acting(office.owner)
    assert "refused by" not in office.browser(Role.OWNER).open(f"{office.base}/members/{free.id}").text


def test_usage_is_filtered_by_the_members_of_a_group(office: Office) -> None:
    group = made(office, "Research", Role.MEMBER)
    at = int(utc_now().timestamp() * 1000)
    for number, role in enumerate((Role.MEMBER, Role.ADMIN)):
        member = office.acting(office.people[role])
        office.ingest([entry(number, workspace_id=office.workspace, at=at, member_id=member.id)])
    page = office.browser(Role.OWNER).open(f"{office.base}/usage?group={group}&by=member")
    assert "Only calls of the present members of group Research" in page.text
    assert office.people[Role.MEMBER].name in page.text
    assert office.people[Role.ADMIN].name not in page.text
    assert page.forms[f"{office.base}/usage"].fields["group"] == group
    now = utc_now()
    selection = Selection(since=now - timedelta(days=1), until=now + timedelta(days=1), member_group=group)
    [event] = EventArchive(office.database).newest(office.workspace, selection, None, 10)
    assert event.member_name == office.people[Role.MEMBER].name


def test_a_members_page_says_that_a_role_may_call_no_models(office: Office) -> None:
    viewer = office.acting(office.people[Role.VIEWER])
    page = office.browser(Role.OWNER).open(f"{office.base}/members/{viewer.id}")
    assert "A person with this role may not call models." in page.text
    assert "Limits in force" not in page.text


def test_a_corrected_budget_limits_the_group_that_was_chosen(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "OFFERED", 1)
    browser = office.browser(Role.OWNER)
    _, beta = made(office, "Alpha"), made(office, "Beta")
    page = browser.open(f"{office.base}/groups/{beta}")
    wrong = browser.submit(page, f"{office.base}/budgets", limit="abc")
    browser.submit(wrong, f"{office.base}/budgets", limit="5")
    (only,) = office.plane_budgets()
    assert (only.scope, only.subject_id) == ("group", beta)
