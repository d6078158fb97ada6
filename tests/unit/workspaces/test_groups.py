"""Groups of members: their names, rules and members, and what the gateway learns of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.access.store.projection_source import ProjectionSource
from opencode_cloud.budgets.models.documents import CreateBudget
from opencode_cloud.budgets.service import group_budgets
from opencode_cloud.contracts.access import EnforcedRules, KnownGroup, KnownMember
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import BudgetId, GroupId, MemberId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.policies.service import Compiler
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.workspaces.models import MemberGroup, ModelRules
from opencode_cloud.workspaces.requests import GroupChange
from opencode_cloud.workspaces.service import groups
from tests.unit.budgets.office import Office
from tests.unit.workspaces.team import Place, code_of

CHEAP = ModelRules(allow=["anthropic/*haiku*"])


@pytest.fixture
def owner(place: Place) -> Actor:
    person = place.person("ada@example.com")
    return place.member(person, place.founded(person).id)


@pytest.fixture
def office(place: Place) -> Office:
    return Office(place)


def made(place: Place, owner: Actor, name: str = "Research", models: ModelRules | None = None) -> MemberGroup:
    return place.team.groups.create(owner, owner.workspace_id, name, models)


def put(place: Place, owner: Actor, group: MemberGroup, *members: Actor) -> MemberGroup:
    ids = [MemberId(each.id) for each in members]
    return place.team.groups.change_members(owner, owner.workspace_id, group.id, ids)


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(ServiceError) as caught:
        attempt()
    return code_of(caught)


def known_member(place: Place, actor: Actor) -> KnownMember:
    source = ProjectionSource(Compiler(DocumentStore(place.database)))
    with place.database.transaction() as connection:
        found = source.at(
            connection, ProjectionKey(ProjectionKind.MEMBER, actor.id, actor.workspace_id, actor.account_id)
        )
    assert isinstance(found, KnownMember)
    return found


def test_a_group_is_made_renamed_and_deleted(place: Place, owner: Actor) -> None:
    service, here = place.team.groups, owner.workspace_id
    group = made(place, owner, "  Research ")
    assert (group.name, group.members, group.models, group.version) == ("Research", 0, None, 1)
    renamed = service.change(owner, here, group.id, 1, GroupChange(name="Labs"))
    assert (renamed.name, renamed.version) == ("Labs", 2)
    assert refused(lambda: service.change(owner, here, group.id, 1, GroupChange(name="Old"))) == "stale_version"
    assert refused(lambda: service.delete(owner, here, group.id, 1)) == "stale_version"
    service.delete(owner, here, group.id, 2)
    assert refused(lambda: service.get(here, group.id)) == "group_not_found"
    assert place.actions()[-3:] == ["group.created", "group.updated", "group.deleted"]
    assert place.told(Topic.BUDGETS) == [here] * 3


def test_a_name_is_there_once_in_a_workspace(place: Place, owner: Actor) -> None:
    group = made(place, owner)
    assert refused(lambda: made(place, owner, "research")) == "group_exists"
    other = made(place, owner, "Sales")
    change = GroupChange(name="RESEARCH")
    assert refused(lambda: place.team.groups.change(owner, owner.workspace_id, other.id, 1, change)) == "group_exists"
    # The same group may change the letters of its own name.
    assert place.team.groups.change(owner, owner.workspace_id, group.id, 1, change).name == "RESEARCH"
    elsewhere = place.member(eve := place.person("eve@example.com"), place.founded(eve).id)
    assert made(place, elsewhere).name == "Research"
    assert refused(lambda: place.team.groups.get(owner.workspace_id, made(place, elsewhere, "B").id)) == (
        "group_not_found"
    )


def test_the_gateway_learns_the_rules_with_the_workspace_and_the_groups_with_the_member(
    place: Place, owner: Actor, office: Office
) -> None:
    bob = place.joined(owner, "bob@example.com", "member")
    without = made(place, owner, "Everyone")
    group = made(place, owner, models=CHEAP)
    place.messages.clear()
    assert put(place, owner, put(place, owner, without, bob), owner).members == 2
    put(place, owner, group, bob)
    assert place.told(Topic.MEMBER) == [bob.id, owner.id, bob.id]
    assert known_member(place, bob).groups == tuple(sorted([without.id, group.id]))
    [known] = office.known_workspace(owner.workspace_id).groups
    assert known == KnownGroup(id=group.id, name="Research", models=EnforcedRules(allow=("anthropic/*haiku*",)))
    place.team.groups.change(owner, owner.workspace_id, group.id, 1, GroupChange(models=None))
    assert office.known_workspace(owner.workspace_id).groups == ()


def test_a_change_of_members_is_made_completely_or_not_at_all(place: Place, owner: Actor) -> None:
    service, here, group = place.team.groups, owner.workspace_id, made(place, owner)
    bob, cyd = (place.joined(owner, f"{name}@example.com", "member") for name in ("bob", "cyd"))
    put(place, owner, group, bob, bob)
    stranger = place.member(eve := place.person("eve@example.com"), place.founded(eve).id)
    assert refused(lambda: put(place, owner, group, cyd, stranger)) == "unknown_members"
    assert [each.email for each in service.members_of(here, group.id)] == ["bob@example.com"]
    changed = service.change_members(owner, here, group.id, [MemberId(cyd.id)], [MemberId(bob.id), MemberId(cyd.id)])
    assert (changed.members, changed.version) == (0, 1)
    before = len(place.actions())
    service.change_members(owner, here, group.id, [], [MemberId(bob.id)])
    assert len(place.actions()) == before
    assert service.members_at(here, ["Bob@example.com", "x", "no@example.com"]) == ([bob.id], ["x", "no@example.com"])


def test_a_removed_member_leaves_all_groups_and_returns_to_none(place: Place, owner: Actor) -> None:
    bob, group = place.joined(owner, "bob@example.com", "member"), made(place, owner)
    put(place, owner, group, bob)
    place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id))
    assert place.team.groups.get(owner.workspace_id, group.id).members == 0
    place.joined_again(owner, bob)
    assert known_member(place, bob).groups == ()


def test_the_numbers_of_groups_and_patterns_are_bounded(
    place: Place, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MOST_GROUPS", 3)
    monkeypatch.setattr(groups, "MOST_GROUPS_OF_MEMBER", 2)
    monkeypatch.setattr(groups, "MOST_RULE_BYTES", 60)
    several = [made(place, owner, name) for name in ("a", "b", "c")]
    assert refused(lambda: made(place, owner, "d")) == "too_many_groups"
    for group in several[:2]:
        put(place, owner, group, owner)
    assert refused(lambda: put(place, owner, several[2], owner)) == "too_many_groups_of_member"
    service, here = place.team.groups, owner.workspace_id
    service.change(owner, here, several[0].id, 1, GroupChange(models=ModelRules(allow=["x/a"], deny=["x/b"])))
    more = GroupChange(models=ModelRules(deny=["x/c"]))
    assert refused(lambda: service.change(owner, here, several[1].id, 1, more)) == "too_many_group_patterns"


@pytest.mark.parametrize("rules", [{"allow": []}, {"deny": ["модель/*"]}, {"allow": ["a b"]}, {"deny": ['"']}])
def test_rules_that_a_form_or_a_row_cannot_hold_are_refused(rules: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        ModelRules.model_validate(rules)


# ------------------------------------------------------------------------------------- budgets of groups


def budget(office: Office, owner: Actor, group: GroupId, scope: BudgetScope = BudgetScope.GROUP) -> BudgetId:
    request = CreateBudget(scope=scope, subject=group, unit=BudgetUnit.COST, period=BudgetPeriod.MONTH, limit=5 * 10**8)
    return office.budgets.create(owner, owner.workspace_id, request).id


def test_budgets_of_a_group_are_told_with_the_workspace_and_end_with_the_group(
    place: Place, owner: Actor, office: Office
) -> None:
    group = made(place, owner)
    shared = budget(office, owner, group.id)
    each = budget(office, owner, group.id, BudgetScope.EACH_IN_GROUP)
    found = [(known.id, known.scope, known.name) for known in office.known_to_workspace(owner.workspace_id)]
    assert found == [(shared, BudgetScope.GROUP, "Research"), (each, BudgetScope.EACH_IN_GROUP, "Research")]
    assert refused(lambda: budget(office, owner, GroupId("grp_none"))) == "invalid_budget"
    place.team.groups.delete(owner, owner.workspace_id, group.id, 1)
    assert office.known_to_workspace(owner.workspace_id) == ()


def test_a_member_sees_the_budgets_of_their_groups_only(place: Place, owner: Actor, office: Office) -> None:
    bob, group, other = place.joined(owner, "bob@example.com", "member"), made(place, owner), made(place, owner, "B")
    put(place, owner, group, bob)
    shared, each = budget(office, owner, group.id), budget(office, owner, group.id, BudgetScope.EACH_IN_GROUP)
    hidden = budget(office, owner, other.id)
    seen = {found.id: found for found in office.budgets.of_workspace(bob, owner.workspace_id)}
    assert set(seen) == {shared, each}
    assert seen[each].standing is not None
    assert refused(lambda: office.budgets.get(bob, owner.workspace_id, hidden)) == "budget_not_found"
    # The owner is in no group, so nothing is counted for the owner.
    assert {found.id: found.standing for found in office.budgets.of_workspace(owner, owner.workspace_id)}[each] is None
    lines = office.budgets.usage_by_subject(owner.workspace_id, each)
    assert [line.subject for line in lines] == ["bob@example.com"]


def test_a_member_has_no_more_budgets_by_groups_than_a_transaction_has_room_for(
    place: Place, owner: Actor, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_budgets, "MOST_OF_GROUPS", 2)
    first, second = made(place, owner, "a"), made(place, owner, "b")
    for group in (first, second):
        put(place, owner, group, owner)
        budget(office, owner, group.id)
    assert refused(lambda: budget(office, owner, first.id, BudgetScope.EACH_IN_GROUP)) == "too_many_group_budgets"
    third = made(place, owner, "c")
    budget(office, owner, third.id)
    assert refused(lambda: put(place, owner, third, owner)) == "too_many_group_budgets"
    assert place.team.groups.get(owner.workspace_id, third.id).members == 0
