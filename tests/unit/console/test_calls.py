"""Calls in the console: served and refused ones in one list, each with its reason."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.budgets.models.documents import CreateBudget
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.schema.usage_events import to_row
from tests.unit.aws import by_boto3
from tests.unit.console.office import Office
from tests.unit.usage.events import entry

REASON = "The monthly budget of web is used up: $20.00 of $20.00 used."


def calls(office: Office, member: Actor, count: int, **changes: Any) -> list[UsageEvent]:
    """Record calls of a member, one each second until now."""
    now = int(utc_now().timestamp() * 1000)
    made = [
        entry(
            number,
            workspace_id=office.workspace,
            member_id=member.id,
            at=now - 1000 * number,
            correlation_id=f"trace-{number}",
            **changes,
        )
        for number in range(count)
    ]
    office.ingest(made)
    return [each.event for each in made]


def refuse(office: Office, member: Actor, model: str = "gpt-5") -> None:
    """Record a refusal, as the gateway does."""
    facts = {"rule": "budget_exhausted", "status": 402, "reason": REASON}
    with office.database.transaction() as connection:
        AuditTrail(AuditStore()).record(
            connection,
            member,
            "call.refused",
            Target("model", model, model),
            workspace_id=office.workspace,
            after=facts,
        )


def test_a_refused_call_is_found_with_its_reason(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    calls(office, member, 1)
    refuse(office, member)
    page = office.browser(Role.ADMIN).open(f"{office.base}/calls")
    assert REASON in page.text
    assert "claude-sonnet" in page.text
    refused = office.browser(Role.ADMIN).open(f"{office.base}/calls?show=refused&model=gpt-5")
    assert REASON in refused.text
    assert "claude-sonnet" not in refused.text
    assert REASON not in office.browser(Role.ADMIN).open(f"{office.base}/calls?show=completed").text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_people_without_the_permission_see_only_their_own_calls_and_refusals(office: Office, role: Role) -> None:
    own, other = office.acting(office.people[role]), office.acting(office.people[Role.ADMIN])
    calls(office, other, 1)
    refuse(office, other, "secret-model")
    refuse(office, own, "own-model")
    page = office.browser(role).open(f"{office.base}/calls")
    assert "own-model" in page.text
    assert "secret-model" not in page.text
    assert "claude-sonnet" not in page.text
    assert "secret-model" not in office.browser(role).open(f"{office.base}/calls?caller={other.id}").text


def test_pages_of_calls_and_refusals_hold_each_once(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    calls(office, member, 70)
    for number in range(7):
        refuse(office, member, f"refused-{number}")
    seen, browser, link = 0, office.browser(Role.OWNER), f"{office.base}/calls"
    while link:
        page = browser.open(link)
        seen += page.answer.text.count("<tr data-key=")
        link = next((each for each in page.links if "cursor=" in each and "language=" not in each), "")
    assert seen == 77


def test_a_call_shows_its_tokens_price_and_correlation_id(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    [event] = calls(office, member, 1)
    page = office.browser(Role.MEMBER).open(f"{office.base}/calls/{event.id}")
    for words in ("trace-0", "1,000", "$1.50", "anthropic", "claude-code", "version p1"):
        assert words in page.text
    assert office.browser(Role.VIEWER).open(f"{office.base}/calls/{event.id}").status == 404


def test_a_call_names_the_budgets_that_it_counted_for(office: Office) -> None:
    owner = office.acting(office.owner)
    wishes: list[dict[str, Any]] = [
        {"scope": "workspace", "unit": "cost", "period": "month"},
        {"scope": "member", "subject": owner.id, "unit": "requests", "period": "minute"},
        {"scope": "member", "subject": office.acting(office.people[Role.ADMIN]).id, "unit": "tokens", "period": "day"},
    ]
    made = [
        office.budgets.budgets.create(owner, owner.workspace_id, CreateBudget(limit=1_000_000_000, **wish))
        for wish in wishes
    ]
    [event] = calls(office, owner, 1)
    page = f"{office.base}/calls/{event.id}"
    assert "Counted" not in office.browser(Role.OWNER).open(page).text, "the row of the call is gone"
    workspace, requests, of_another = (each.id for each in made)
    counters = [f"budget#{workspace}#2026-11", f"budget#{requests}#2026-11-25T10:00", "budget#bud_gone#total"]
    counters += [f"session#{owner.workspace_id}#ses_1", f"budget#{of_another}:{owner.id}#2026-11-25"]
    by_boto3("dynamodb").put_item(TableName="usage", Item=to_row(event, counters))
    shown = office.browser(Role.OWNER).open(page)
    assert {f"{office.base}/budgets/{each.id}" for each in made} <= {*shown.links}
    rows = re.findall(r"<td class=\"number\">([^<]*)</td></tr>", shown.answer.text.partition("<h2>Budgets")[2])
    assert rows == ["$1.50", "1 request", "-", "$1.50", f"{event.tokens.total:,} tokens"]
    assert "A budget that was deleted" in shown.text
    assert "2026-11-25T10:00" in shown.text
    theirs = office.acting(office.people[Role.MEMBER])
    [own] = calls(office, theirs, 1, model="own")
    by_boto3("dynamodb").put_item(TableName="usage", Item=to_row(own, counters))
    seen = office.browser(Role.MEMBER).open(f"{office.base}/calls/{own.id}")
    assert f"{office.base}/budgets/{requests}" not in seen.links, "a budget of another person"


def test_refusals_are_exported_by_those_who_may_read_the_trail(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    calls(office, member, 1)
    refuse(office, member)
    refuse(office, member, "other-model")
    listed = office.browser(Role.ADMIN).open(f"{office.base}/calls?show=refused&model=gpt-5")
    (export,) = (link for link in listed.links if "/audit/export?" in link)
    sheet = office.browser(Role.ADMIN).go(export)
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert "budget_exhausted" in sheet.text
    assert sheet.text.count("call.refused") == 1
    assert not [link for link in office.browser(Role.MEMBER).open(f"{office.base}/calls").links if "/export" in link]


def test_a_range_without_calls_says_so(office: Office) -> None:
    day = f"{utc_now() - timedelta(days=40):%Y-%m-%d}"
    page = office.browser(Role.OWNER).open(f"{office.base}/calls?from={day}&to={day}&model=x")
    assert f"No matching call from {day} to {day}." in page.text


def test_an_id_to_find_stays_one_segment_of_the_path(office: Office) -> None:
    answer = office.browser(Role.OWNER).go(f"{office.base}/calls?find=..%2Fkeys%0D%0ASet-Cookie%3A%20a")
    assert answer.headers["location"] == f"{office.base}/calls/..%2Fkeys%0D%0ASet-Cookie%3A%20a"
