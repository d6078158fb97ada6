"""People and the workspace's webhook are notified once of a threshold."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from standardwebhooks import Webhook as StandardWebhook

from opencode_cloud.budgets.deliveries import AlertDeliveries
from opencode_cloud.budgets.models.thresholds import ThresholdReached, mark, threshold_id
from opencode_cloud.budgets.service.threshold_detector import new_thresholds
from opencode_cloud.budgets.service.webhooks import clean_url
from opencode_cloud.budgets.store.rows import CounterRow
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, BudgetUsage, KnownBudget
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.schema.audit import audit_entries
from tests.unit.budgets.office import Office
from tests.unit.workspaces.team import Place, code_of

DECEMBER = 1_796_083_200
"""2026-12-01T00:00:00Z, in seconds."""


@pytest.fixture
def office(place: Place) -> Office:
    return Office(place)


@pytest.fixture
def owner(place: Place) -> Actor:
    person = place.person("ada@example.com")
    return place.member(person, place.founded(person).id)


def known(**more: Any) -> KnownBudget:
    kind = {
        "scope": BudgetScope.WORKSPACE,
        "unit": BudgetUnit.COST,
        "period": BudgetPeriod.MONTH,
        "limit": 2_000_000_000,
        **more,
    }
    return KnownBudget(id=BudgetId("bud_1"), **kind)


def row(spent: int, *alerted: str, refused: bool = False, **more: Any) -> CounterRow:
    return CounterRow(
        key="budget#bud_1#2026-11",
        workspace_id=WorkspaceId("wrk_1"),
        budget=known(**{"limit": 100, **more}),
        starts_at=DECEMBER - 30 * 86_400,
        resets_at=DECEMBER,
        usage=BudgetUsage(spent=spent, refused_limit=more.get("limit", 100) if refused else None),
        alerted=frozenset(alerted),
    )


def threshold_reached(workspace: str, threshold: int = 80, **more: Any) -> ThresholdReached:
    budget = known(name="Acme", **more)
    return ThresholdReached(
        id=threshold_id(f"budget#{budget.id}#2026-11", mark(budget, threshold)),
        workspace_id=WorkspaceId(workspace),
        budget=budget,
        threshold=threshold,
        used=1_602_000_000,
        refused=False,
        starts_at=DECEMBER - 30 * 86_400,
        resets_at=DECEMBER,
        at=DECEMBER - 86_400,
    )


def deliver(office: Office, *events: ThresholdReached) -> list[str]:
    """Deliver events as their queue does; return those that must be delivered again."""
    records = [
        {"messageId": each.id, "receiptHandle": "r", "body": msgspec.json.encode(each).decode()} for each in events
    ]
    answer = AlertDeliveries(office.alerts).handle({"Records": records})
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


# ------------------------------------------------------------------------------------- noticing


@pytest.mark.parametrize(
    ("spent", "thresholds"),
    [(49, []), (50, [50]), (79, [50]), (80, [50, 80]), (100, [50, 80, 100]), (120, [50, 80, 100])],
)
def test_thresholds_are_reached_by_what_is_spent(spent: int, thresholds: list[int]) -> None:
    assert [each.threshold for each in new_thresholds(row(spent), DECEMBER)] == thresholds


def test_a_refusal_is_a_hundred_percent() -> None:
    assert [each.threshold for each in new_thresholds(row(60, refused=True), DECEMBER)] == [50, 100]


def test_what_was_told_is_not_told_again() -> None:
    assert [each.threshold for each in new_thresholds(row(85, "50"), DECEMBER)] == [80]


@given(st.lists(st.integers(0, 150), min_size=1, max_size=20))
def test_each_threshold_is_told_once_in_a_window_however_spending_goes_on(amounts: list[int]) -> None:
    ids: list[str] = []
    marks: list[str] = []
    spent = 0
    for amount in amounts:
        spent += amount
        found = new_thresholds(row(spent, *marks), DECEMBER)
        ids += [each.id for each in found]
        marks += [mark(each.budget, each.threshold) for each in found]
    assert len(ids) == len(set(ids)) == len([each for each in (50, 80, 100) if spent >= each])


def test_nobody_is_told_of_rate_limits_of_limits_of_zero_or_against_their_wish() -> None:
    for silent in (row(100, period=BudgetPeriod.MINUTE), row(0, limit=0, refused=True), row(100, alerts=False)):
        assert new_thresholds(silent, DECEMBER) == []


def test_a_raised_balance_can_be_used_up_again() -> None:
    used_up = new_thresholds(row(100, period=BudgetPeriod.TOTAL), DECEMBER)
    raised = new_thresholds(
        row(200, *(mark(each.budget, each.threshold) for each in used_up), limit=200, period=BudgetPeriod.TOTAL), 0
    )
    assert [each.threshold for each in raised] == [50, 80, 100]
    assert not {each.id for each in used_up} & {each.id for each in raised}


def test_a_refusal_before_a_balance_was_raised_is_none_of_the_raised_balance() -> None:
    raised = msgspec.structs.replace(
        row(10, limit=200, period=BudgetPeriod.TOTAL), usage=BudgetUsage(spent=10, refused_limit=10)
    )
    assert new_thresholds(raised, DECEMBER) == []


# ------------------------------------------------------------------------------------- mails


def test_who_looks_after_budgets_and_the_person_concerned_get_one_mail_each(office: Office, owner: Actor) -> None:
    for address, role in (("bill@example.com", "billing"), ("admin@example.com", "admin"), ("x@example.com", "member")):
        office.place.joined(owner, address, role)
    intern = office.place.joined(owner, "intern@example.com", "member")
    event = threshold_reached(owner.workspace_id, scope=BudgetScope.MEMBER, subject=intern.id)

    assert [deliver(office, event, event), deliver(office, event)] == [[], []]

    letters = office.letters()
    assert {recipient for recipient, _ in letters} == {
        "ada@example.com",
        "bill@example.com",
        "admin@example.com",
        "intern@example.com",
    }
    assert len(letters) == 4
    assert letters[0][1] == {
        "workspace": "Acme",
        "budget": "the monthly budget of Acme",
        "threshold": 80,
        "used": "$16.02",
        "limit": "$20.00",
        "refused": False,
        "resets": "1 December 2026, 00:00 UTC",
    }
    [alert] = office.alerts.of_workspace(owner.workspace_id)
    assert (alert.threshold, alert.used, alert.subject_id) == (80, 1_602_000_000, intern.id)


def test_nobody_is_told_of_a_workspace_that_is_gone(office: Office) -> None:
    assert deliver(office, threshold_reached("wrk_gone")) == []
    assert office.letters() == []


def test_an_alert_that_cannot_be_read_comes_again_alone(office: Office, owner: Actor) -> None:
    event = threshold_reached(owner.workspace_id)
    bodies = {"bad": "{}", "good": msgspec.json.encode(event).decode()}
    records = [{"messageId": name, "receiptHandle": "r", "body": body} for name, body in bodies.items()]
    answer = AlertDeliveries(office.alerts).handle({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(office.letters()) == 1


# ------------------------------------------------------------------------------------- webhooks


def test_an_alert_is_announced_to_the_webhook_once(office: Office, owner: Actor) -> None:
    hook = office.webhooks.set(owner, owner.workspace_id, "https://hooks.example.com/budgets?token=1")
    event = threshold_reached(owner.workspace_id)
    assert [deliver(office, event, event), deliver(office, event)] == [[], []]
    assert office.place.told(Topic.WEBHOOK) == [event.id]

    office.sender.send(event.id)

    [(url, headers, body)] = office.posts
    assert url == "https://hooks.example.com/budgets?token=1"
    said = StandardWebhook(hook.secret).verify(body, dict(headers))
    assert (said["id"], said["type"], said["threshold"]) == (event.id, "budget.threshold", 80)
    assert said["workspace"]["name"] == "Acme"
    assert said["budget"]["limit"] == 2_000_000_000
    assert len(office.letters()) == 1
    assert office.alerts.of_workspace(owner.workspace_id)[0].webhook_at is not None


def test_a_webhook_set_anew_has_another_secret_and_no_audit_entry_its_address(office: Office, owner: Actor) -> None:
    first = office.webhooks.set(owner, owner.workspace_id, "https://hooks.example.com/secret-path")
    office.webhooks.remove(owner, owner.workspace_id)
    second = office.webhooks.set(owner, owner.workspace_id, "https://hooks.example.com/secret-path")
    assert first.secret != second.secret
    assert office.webhooks.get(owner.workspace_id).url == "https://hooks.example.com/secret-path"
    assert office.place.actions()[-3:] == ["budget_webhook.set", "budget_webhook.removed", "budget_webhook.set"]
    with office.place.database.transaction() as connection:
        entries = connection.execute(select(audit_entries)).mappings().all()
    assert "secret-path" not in str(entries)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/",
        "https://db.internal/",
        "https://user:password@hooks.example.com/",
        "https:///x",
        "https://hooks.example.com/ x",
        "ftp://hooks.example.com/",
        "https://hooks.example.com:port/",
    ],
)
def test_a_webhook_cannot_be_where_its_setter_must_not_reach(url: str) -> None:
    with pytest.raises(ServiceError) as error:
        clean_url(url, private=False)
    assert code_of(error) == "invalid_webhook"
