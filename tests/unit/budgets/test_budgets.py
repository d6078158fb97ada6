"""Budgets: permissions to set them, their subjects, and their projection to the gateway."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from opencode_cloud.budgets.models.documents import Budget, CreateBudget
from opencode_cloud.budgets.service import budgets
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.budgets import LARGEST_LIMIT, BudgetPeriod, BudgetScope, BudgetUnit, BudgetUsage
from opencode_cloud.contracts.ids import KeyId, MemberId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.money import DOLLAR
from tests.unit.budgets.office import Office
from tests.unit.workspaces.team import Place, code_of


@pytest.fixture
def office(place: Place) -> Office:
    return Office(place)


@pytest.fixture
def owner(place: Place) -> Actor:
    person = place.person("ada@example.com")
    return place.member(person, place.founded(person).id)


def wish(scope: BudgetScope = BudgetScope.WORKSPACE, subject: str = "", **more: object) -> CreateBudget:
    kind = {"unit": BudgetUnit.COST, "period": BudgetPeriod.MONTH, "limit": 20 * DOLLAR, **more}
    return CreateBudget(scope=scope, subject=subject, **kind)  # pyright: ignore[reportArgumentType]


def refused(office: Office, owner: Actor, asked: CreateBudget) -> str:
    with pytest.raises(ServiceError) as error:
        office.budgets.create(owner, owner.workspace_id, asked)
    return code_of(error)


def key_of(place: Place, actor: Actor) -> tuple[str, str]:
    made = place.team.keys.create(actor, actor.workspace_id, CreateKey(name="laptop", scopes=[KeyScope.INFERENCE]))
    return made.id, made.secret


# ------------------------------------------------------------------------------------- what is set holds


def test_a_budget_of_the_workspace_is_what_the_gateway_learns(office: Office, owner: Actor) -> None:
    made = office.budgets.create(owner, owner.workspace_id, wish())
    [known] = office.known_to_workspace(owner.workspace_id)
    assert (known.id, known.scope, known.limit, known.name) == (made.id, BudgetScope.WORKSPACE, 20 * DOLLAR, "Acme")
    assert office.place.told(Topic.BUDGETS) == [owner.workspace_id]
    assert office.place.actions()[-1] == "budget.created"


def test_a_budget_of_a_member_is_told_with_the_member(office: Office, owner: Actor) -> None:
    member = office.place.joined(owner, "intern@example.com", "member")
    office.place.messages.clear()
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.MEMBER, member.id))
    [known] = office.known_to_member(member)
    assert (known.subject, known.name) == (member.id, "intern@example.com")
    assert office.place.told(Topic.MEMBER) == [member.id]


def test_a_budget_of_a_project_is_told_with_the_workspace(office: Office, owner: Actor) -> None:
    made = office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.PROJECT, "team/web"))
    assert (made.subject_id, made.subject) == ("team/web", "team/web")
    [known] = office.known_to_workspace(owner.workspace_id)
    assert (known.scope, known.subject, known.name) == (BudgetScope.PROJECT, "team/web", "project team/web")
    assert office.place.told(Topic.BUDGETS) == [owner.workspace_id]
    assert refused(office, owner, wish(BudgetScope.PROJECT, "team/web")) == "budget_exists"
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.PROJECT, "Team/Web"))
    [line] = office.budgets.usage_by_subject(owner.workspace_id, made.id)
    assert (line.subject_id, line.subject, line.standing.remaining) == ("team/web", "team/web", 20 * DOLLAR)
    office.budgets.delete(owner, owner.workspace_id, made.id)
    assert [each.subject for each in office.known_to_workspace(owner.workspace_id)] == ["Team/Web"]


def test_a_budget_of_a_project_is_no_members(office: Office, owner: Actor) -> None:
    member = office.place.joined(owner, "intern@example.com", "member")
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.PROJECT, "intern@example.com"))
    assert office.known_to_member(member) == ()
    assert office.budgets.of_workspace(member, owner.workspace_id) == []


def test_budgets_of_projects_are_few(office: Office, owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "MOST_PROJECT_BUDGETS", 2)
    for project in ("a", "b"):
        office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.PROJECT, project))
    assert refused(office, owner, wish(BudgetScope.PROJECT, "c")) == "too_many_budgets"
    office.budgets.create(owner, owner.workspace_id, wish())


def test_a_limit_of_zero_can_be_set(office: Office, owner: Actor) -> None:
    office.budgets.create(owner, owner.workspace_id, wish(limit=0))
    assert [known.limit for known in office.known_to_workspace(owner.workspace_id)] == [0]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (wish(limit=-1), "invalid_budget"),
        (wish(limit=LARGEST_LIMIT + 1), "invalid_budget"),
        (wish(period=BudgetPeriod.MINUTE), "invalid_budget"),
        (wish(BudgetScope.MEMBER), "invalid_budget"),
        (wish(BudgetScope.PROJECT), "invalid_budget"),
        (wish(BudgetScope.PROJECT, "mem_01K0000000000000000000000A"), "invalid_budget"),
        (wish(BudgetScope.PROJECT, "a" * 65), "invalid_budget"),
        (wish(BudgetScope.SESSION, "ses_1"), "invalid_budget"),
        (wish(BudgetScope.WORKSPACE, "mem_1"), "invalid_budget"),
        (wish(BudgetScope.MEMBER, "mem_of_nobody"), "invalid_budget"),
        (wish(BudgetScope.KEY, "key_of_nobody"), "invalid_budget"),
        (wish(BudgetScope.BALANCE, period=BudgetPeriod.TOTAL), "balance_is_granted"),
    ],
)
def test_what_makes_no_sense_is_refused(office: Office, owner: Actor, asked: CreateBudget, code: str) -> None:
    assert refused(office, owner, asked) == code


def test_there_is_one_budget_of_a_subject_unit_and_period(office: Office, owner: Actor) -> None:
    office.budgets.create(owner, owner.workspace_id, wish())
    assert refused(office, owner, wish(limit=1)) == "budget_exists"
    office.budgets.create(owner, owner.workspace_id, wish(period=BudgetPeriod.DAY))
    office.budgets.create(owner, owner.workspace_id, wish(unit=BudgetUnit.TOKENS))


def test_a_change_names_the_version_that_was_read(office: Office, owner: Actor) -> None:
    made = office.budgets.create(owner, owner.workspace_id, wish())
    raised = office.budgets.change(owner, owner.workspace_id, made.id, made.version, {"limit": 5, "alerts": False})
    assert (raised.limit, raised.alerts, raised.version) == (5, False, made.version + 1)
    with pytest.raises(ServiceError) as error:
        office.budgets.change(owner, owner.workspace_id, made.id, made.version, {"limit": 6})
    assert code_of(error) == "stale_version"
    [known] = office.known_to_workspace(owner.workspace_id)
    assert (known.limit, known.alerts) == (5, False)


def test_a_deleted_budget_bounds_nothing(office: Office, owner: Actor) -> None:
    made = office.budgets.create(owner, owner.workspace_id, wish())
    office.budgets.delete(owner, owner.workspace_id, made.id)
    assert office.known_to_workspace(owner.workspace_id) == ()
    with pytest.raises(ServiceError) as error:
        office.budgets.get(owner, owner.workspace_id, made.id)
    assert code_of(error) == "budget_not_found"


# ------------------------------------------------------------------------------------- where they stand


def test_a_budget_is_shown_with_where_it_stands(office: Office, owner: Actor) -> None:
    made = office.budgets.create(owner, owner.workspace_id, wish())
    office.stands[made.id] = BudgetUsage(spent=15 * DOLLAR, reserved=2 * DOLLAR)
    shown = office.budgets.get(owner, owner.workspace_id, made.id).standing
    assert shown is not None
    assert (shown.spent, shown.reserved, shown.remaining) == (15 * DOLLAR, 2 * DOLLAR, 3 * DOLLAR)
    assert shown.resets_at is not None
    assert shown.resets_at.day == 1


def test_who_manages_budgets_sees_where_each_member_stands(office: Office, owner: Actor) -> None:
    member = office.place.joined(owner, "intern@example.com", "member")
    made = office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.EACH_MEMBER))
    office.stands[f"{made.id}:{member.id}"] = BudgetUsage(spent=7)
    standings = office.budgets.usage_by_subject(owner.workspace_id, made.id)
    assert {each.subject: each.standing.spent for each in standings} == {"ada@example.com": 0, "intern@example.com": 7}


def test_a_member_sees_what_bounds_them_and_nothing_else(office: Office, owner: Actor) -> None:
    member = office.place.joined(owner, "intern@example.com", "member")
    other = office.place.joined(owner, "other@example.com", "member")
    key, _ = key_of(office.place, member)
    mine = [
        office.budgets.create(owner, owner.workspace_id, asked).id
        for asked in (wish(BudgetScope.EACH_MEMBER), wish(BudgetScope.MEMBER, member.id), wish(BudgetScope.KEY, key))
    ]
    hidden = office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.MEMBER, other.id))
    office.budgets.create(owner, owner.workspace_id, wish())
    office.stands[f"{mine[0]}:{member.id}"] = BudgetUsage(spent=7)

    shown = office.budgets.of_workspace(member, owner.workspace_id)

    assert [budget.id for budget in shown] == mine
    assert shown[0].standing is not None
    assert shown[0].standing.spent == 7
    with pytest.raises(ServiceError) as error:
        office.budgets.get(member, owner.workspace_id, hidden.id)
    assert code_of(error) == "budget_not_found"


def test_another_workspaces_budget_is_not_found(office: Office, owner: Actor) -> None:
    made = office.budgets.create(owner, owner.workspace_id, wish())
    stranger = office.place.person("eve@example.com")
    elsewhere = office.place.member(stranger, office.place.founded(stranger, "Elsewhere").id)
    tries: list[Callable[[], object]] = [
        lambda: office.budgets.get(elsewhere, elsewhere.workspace_id, made.id),
        lambda: office.budgets.change(elsewhere, elsewhere.workspace_id, made.id, 1, {"limit": 0}),
        lambda: office.budgets.delete(elsewhere, elsewhere.workspace_id, made.id),
        lambda: office.budgets.usage_by_subject(elsewhere.workspace_id, made.id),
    ]
    for attempt in tries:
        with pytest.raises(ServiceError) as error:
            attempt()
        assert code_of(error) == "budget_not_found"


# ------------------------------------------------------------------------------------- those who go


def budgets_of(office: Office, owner: Actor) -> list[Budget]:
    return list(office.budgets.of_workspace(owner, owner.workspace_id))


def test_a_removed_member_takes_their_budgets_and_those_of_their_keys_along(office: Office, owner: Actor) -> None:
    member = office.place.joined(owner, "intern@example.com", "member")
    key, _ = key_of(office.place, member)
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.MEMBER, member.id))
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.KEY, key))
    office.place.team.members.remove(owner, owner.workspace_id, MemberId(member.id))
    assert budgets_of(office, owner) == []


def test_a_deleted_service_account_takes_its_budgets_along(office: Office, owner: Actor) -> None:
    machine = office.place.team.service_accounts.create(owner, owner.workspace_id, "ci")
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.SERVICE_ACCOUNT, machine.id))
    assert [known.name for known in office.known_to_machine(owner.workspace_id, machine.id)] == ["ci"]
    office.place.team.service_accounts.delete(owner, owner.workspace_id, machine.id)
    assert budgets_of(office, owner) == []


def test_a_rotated_key_and_the_one_before_it_share_their_budget(office: Office, owner: Actor) -> None:
    keys = office.place.team.keys
    key, secret = key_of(office.place, owner)
    made = office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.KEY, key))

    second = keys.rotate(owner, owner.workspace_id, KeyId(key), timedelta(hours=1))
    third = keys.rotate(owner, owner.workspace_id, second.id, timedelta(hours=1))

    for each in (secret, second.secret, third.secret):
        assert [known.id for known in office.known_to_key(each)] == [made.id]
    office.place.messages.clear()
    office.budgets.change(owner, owner.workspace_id, made.id, 1, {"limit": 1})
    assert set(office.place.told(Topic.KEY)) == {key, second.id, third.id}

    # After the newest key is revoked, the budget still applies to the older keys.
    keys.revoke(owner, owner.workspace_id, third.id)
    assert [known.id for known in office.known_to_key(secret)] == [made.id]
    office.place.messages.clear()
    office.budgets.change(owner, owner.workspace_id, made.id, 2, {"limit": 2})
    assert set(office.place.told(Topic.KEY)) == {key, second.id}


def test_a_revoked_key_takes_its_budget_along(office: Office, owner: Actor) -> None:
    key, _ = key_of(office.place, owner)
    office.budgets.create(owner, owner.workspace_id, wish(BudgetScope.KEY, key))
    office.place.team.keys.revoke(owner, owner.workspace_id, KeyId(key))
    assert budgets_of(office, owner) == []


# ------------------------------------------------------------------------------------- balance and settings


def test_a_balance_is_the_sum_of_its_grants(office: Office, owner: Actor) -> None:
    grants = [(25 * DOLLAR, "order-1"), (25 * DOLLAR, "order-1"), (-5 * DOLLAR, "correction")]
    for amount, key in grants:
        office.balance.grant(owner, owner.workspace_id, amount, "pilot", key)
    [known] = office.known_to_workspace(owner.workspace_id)
    assert (known.scope, known.limit, known.period) == (BudgetScope.BALANCE, 20 * DOLLAR, BudgetPeriod.TOTAL)
    assert [grant.amount for grant in office.balance.grants(owner.workspace_id)] == [-5 * DOLLAR, 25 * DOLLAR]


@pytest.mark.parametrize("amount", [0, -1, LARGEST_LIMIT + 1])
def test_a_balance_is_never_less_than_nothing(office: Office, owner: Actor, amount: int) -> None:
    with pytest.raises(ServiceError) as error:
        office.balance.grant(owner, owner.workspace_id, amount, "pilot", "order-1")
    assert code_of(error) == "invalid_grant"
    assert office.known_to_workspace(owner.workspace_id) == ()


def test_nobody_sets_or_deletes_a_balance(office: Office, owner: Actor) -> None:
    office.balance.grant(owner, owner.workspace_id, DOLLAR, "pilot", "order-1")
    [balance] = budgets_of(office, owner)
    for attempt in (
        lambda: office.budgets.delete(owner, owner.workspace_id, balance.id),
        lambda: office.budgets.change(owner, owner.workspace_id, balance.id, 1, {"limit": 9}),
    ):
        with pytest.raises(ServiceError) as error:
            attempt()
        assert code_of(error) == "balance_is_granted"


def test_metadata_of_calls_is_kept_only_where_it_is_wanted(office: Office, owner: Actor) -> None:
    assert office.settings.get(owner.workspace_id).metadata_days == 0
    for days in (30, 7):
        assert office.settings.change(owner, owner.workspace_id, days).metadata_days == days
    assert office.settings.get(owner.workspace_id).metadata_days == 7
    assert office.place.actions().count("usage_settings.updated") == 2


def test_a_workspace_chooses_the_headers_of_projects(office: Office, owner: Actor) -> None:
    chosen = office.settings.change(owner, owner.workspace_id, 7, ["X-Cost-Center", "x-team", "x-team"])
    assert chosen.project_headers == ["x-cost-center", "x-team"]
    assert office.settings.change(owner, owner.workspace_id, 30).project_headers == chosen.project_headers
    for refused in ("x-api-key", "authorization"):
        with pytest.raises(ServiceError) as error:
            office.settings.change(owner, owner.workspace_id, 30, [refused])
        assert code_of(error) == "invalid_header"
    assert office.known_workspace(owner.workspace_id).project_headers == ("x-cost-center", "x-team")
    assert office.settings.change(owner, owner.workspace_id, 30, []).project_headers == []
