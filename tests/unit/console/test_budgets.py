"""Budgets in the console: bars, creation, change, deletion, alerts."""

from __future__ import annotations

import re

import pytest

from opencode_cloud.budgets.models.documents import Budget, CreateBudget, CurrentUsage
from opencode_cloud.console.budgets import bar_of
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import BudgetId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from tests.unit.console.office import Office

NOTHING_LEFT = "used up: calls are refused"


def budget(limit: int) -> Budget:
    now = utc_now()
    return Budget(
        id=BudgetId("bud_1"),
        scope=BudgetScope.WORKSPACE,
        subject_id=None,
        subject=None,
        unit=BudgetUnit.REQUESTS,
        period=BudgetPeriod.DAY,
        limit=limit,
        alerts=True,
        version=1,
        created_by="ada",
        created_at=now,
        updated_at=now,
    )


@pytest.mark.parametrize(
    ("limit", "spent", "reserved", "expected"),
    [
        (100, 0, 0, ("ok", 0, 0)),
        (100, 50, 29, ("ok", 50, 29)),
        (100, 50, 30, ("near", 50, 30)),
        (100, 100, 0, ("blocked", 100, 0)),
        (100, 500, 100, ("blocked", 100, 0)),
        (0, 0, 0, ("blocked", 100, 0)),
    ],
)
def test_a_bar_shows_what_is_spent_and_reserved_and_never_more_than_the_limit(
    limit: int, spent: int, reserved: int, expected: tuple[str, float, float]
) -> None:
    left = max(0, limit - spent - reserved)
    bar = bar_of(
        BudgetUnit.REQUESTS, limit, CurrentUsage(spent=spent, reserved=reserved, remaining=left, resets_at=None)
    )
    assert (bar.state, bar.spent, bar.reserved) == expected


def test_a_budget_is_created_changed_and_deleted(office: Office) -> None:
    browser, action = office.browser(Role.BILLING), f"{office.base}/budgets"
    page = browser.open(action)
    assert "calls are not limited" in page.text
    made = browser.submit(
        page, action, subject="workspace:", limit="$1,020.50", unit="cost", period="month", alerts="on"
    )
    assert "Budget created" in made.text
    assert "Monthly budget of this workspace" in made.text
    assert "$1,020.50" in made.text
    [one] = {link for link in made.links if re.search(r"/budgets/bud_\w+$", link)}
    changed = browser.submit(browser.open(one), one, limit="0", alerts=[])
    assert NOTHING_LEFT in changed.text
    [kept] = office.plane_budgets()
    assert (kept.limit, kept.alerts) == (0, False)
    asked = browser.open(f"{one}/delete")
    assert "Delete this budget: Monthly budget of this workspace?" in asked.text
    assert "Budget deleted" in browser.submit(asked, f"{one}/delete").text
    assert office.plane_budgets() == []


def test_a_budget_of_a_member_and_of_a_project(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/budgets"
    page = browser.open(action)
    member = office.acting(office.people[Role.MEMBER])
    browser.submit(page, action, subject=f"member:{member.id}", limit="500", unit="requests", period="day")
    browser.submit(page, action, subject="project:", project="web", limit="9", unit="tokens", period="minute")
    found = {(each.scope, each.subject, each.unit, each.period, each.limit) for each in office.plane_budgets()}
    assert found == {
        (BudgetScope.MEMBER, member.name, BudgetUnit.REQUESTS, BudgetPeriod.DAY, 500),
        (BudgetScope.PROJECT, "web", BudgetUnit.TOKENS, BudgetPeriod.MINUTE, 9),
    }
    own = office.browser(Role.MEMBER).open(action)
    assert f"Daily budget of requests of {member.name}" in own.text
    assert "Create a budget" not in own.text


def test_all_faults_of_a_budget_are_said_at_once(office: Office) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/budgets"
    wrong = browser.submit(browser.open(action), action, subject="moon:", limit="ten", unit="cost", period="minute")
    assert wrong.status == 422
    assert len(re.findall(r'class="fault"', wrong.answer.text)) == 3
    assert wrong.forms[action].fields["limit"] == "ten"


def test_a_budget_that_changed_meanwhile_is_not_overwritten(office: Office) -> None:
    actor = office.acting(office.owner)
    wanted = CreateBudget(scope=BudgetScope.EACH_MEMBER, unit=BudgetUnit.COST, period=BudgetPeriod.MONTH, limit=10**9)
    made = office.budgets.budgets.create(actor, office.workspace, wanted)
    action = f"{office.base}/budgets/{made.id}"
    browser = office.browser(Role.OWNER)
    stale = browser.open(action)
    assert "By member" in stale.text
    assert "Budget changed" in browser.submit(browser.open(action), action, limit="20").text
    late = browser.submit(stale, action, limit="30")
    assert late.status == 412
    assert office.plane_budgets()[0].limit == 20 * 10**8


def test_the_webhook_of_alerts_shows_its_secret_once_and_is_tested(office: Office) -> None:
    browser, page = office.browser(Role.BILLING), f"{office.base}/budgets/alerts"
    action = f"{page}/webhook"
    wrong = browser.submit(browser.open(page), action, url="ftp://x")
    assert (wrong.status, wrong.forms[action].fields["url"]) == (422, "ftp://x")
    made = browser.submit(browser.open(page), action, url="https://hooks.example.com/a")
    assert "whsec_" in made.answer.text
    shown = browser.open(page)
    assert "whsec_" not in shown.answer.text
    assert "hooks.example.com" in shown.text
    tested = browser.submit(shown, f"{action}/test")
    assert "A test is on its way to the webhook." in tested.text
    assert "webhook.test" in tested.text


def test_the_webhook_is_removed_after_a_question_that_names_what_ends(office: Office) -> None:
    browser, page = office.browser(Role.BILLING), f"{office.base}/budgets/alerts"
    action = f"{page}/webhook"
    assert browser.open(f"{action}/remove").status == 404
    browser.submit(browser.open(page), action, url="https://hooks.example.com/a")
    shown = browser.open(page)
    assert f"{action}/remove" in shown.links
    assert f"{action}/remove" not in shown.forms
    asked = browser.open(f"{action}/remove")
    assert "https://hooks.example.com/a" in asked.text
    assert "not accepted yet are dropped" in asked.text
    assert "hooks.example.com" in browser.open(page).text
    assert "No webhook" in browser.submit(asked, f"{action}/remove").text
