"""The limits of a member are those that the gateway applies, with their origin and what is left."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.access.store.projection_source import ProjectionSource
from opencode_cloud.budgets.models.documents import MemberLimits, ModelLimitSource
from opencode_cloud.budgets.service.effective_limits import EffectiveLimits
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.contracts.access import KnownMember, KnownWorkspace
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUsage
from opencode_cloud.contracts.ids import AccountId, BudgetId, MemberId, WorkspaceId
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.policies.service import Compiler
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.workspaces.models import MemberGroup, ModelRules
from tests.unit.budgets.office import Office
from tests.unit.budgets.test_budgets import wish
from tests.unit.workspaces.team import Place, code_of


class Projected:
    """Reads memberships as the projection would write them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._source = ProjectionSource(Compiler(DocumentStore(place.database)))

    def membership(self, account_id: AccountId, workspace_id: WorkspaceId) -> tuple[KnownMember, KnownWorkspace] | None:
        with self._place.database.transaction() as connection:
            member = self._source.at(connection, ProjectionKey(ProjectionKind.MEMBER, "", workspace_id, account_id))
            workspace = self._source.at(connection, ProjectionKey(ProjectionKind.WORKSPACE, workspace_id))
        if isinstance(member, KnownMember) and isinstance(workspace, KnownWorkspace):
            return member, workspace
        return None


class Scene:
    """A workspace with a member in a group."""

    def __init__(self, place: Place) -> None:
        self.place, self.office = place, Office(place)
        person = place.person("ada@example.com")
        self.owner = place.member(person, place.founded(person).id)
        self.bob = place.joined(self.owner, "bob@example.com", "member")
        self.limits = EffectiveLimits(place.database, BudgetStore(), self.office, Projected(place))

    def group(self, name: str, models: ModelRules | None = None) -> MemberGroup:
        groups, here = self.place.team.groups, self.owner.workspace_id
        group = groups.create(self.owner, here, name, models)
        return groups.change_members(self.owner, here, group.id, [MemberId(self.bob.id)])

    def budget(self, scope: BudgetScope, subject: str = "", **more: Any) -> BudgetId:
        wanted = wish(scope, subject, **more)
        return self.office.budgets.create(self.owner, self.owner.workspace_id, wanted).id

    def of(self, actor: Actor, member: Actor) -> MemberLimits:
        return self.limits.of_member(actor, self.owner.workspace_id, MemberId(member.id))


@pytest.fixture
def scene(place: Place) -> Scene:
    return Scene(place)


def test_each_limit_says_its_origin_what_it_replaces_and_what_is_left(scene: Scene) -> None:
    group = scene.group("Research")
    whole = scene.budget(BudgetScope.WORKSPACE, limit=1000 * DOLLAR)
    general = scene.budget(BudgetScope.EACH_MEMBER, limit=5 * DOLLAR)
    daily = scene.budget(BudgetScope.EACH_MEMBER, period=BudgetPeriod.DAY)
    shared = scene.budget(BudgetScope.GROUP, group.id, limit=300 * DOLLAR)
    each = scene.budget(BudgetScope.EACH_IN_GROUP, group.id, limit=40 * DOLLAR)
    scene.office.stands[f"{each}:{scene.bob.id}"] = BudgetUsage(spent=10 * DOLLAR, reserved=DOLLAR)
    found = {limit.budget_id: limit for limit in scene.of(scene.owner, scene.bob).budgets}
    assert set(found) == {whole, daily, shared, each}
    assert (found[shared].name, found[shared].group) == ("the monthly budget of group Research", "Research")
    assert found[each].name == "the monthly budget of bob@example.com in group Research"
    assert (found[each].group_id, found[each].replaces) == (group.id, [general])
    standing = found[each].standing
    assert standing is not None
    assert standing.remaining == 29 * DOLLAR
    assert found[whole].limit == 1000 * DOLLAR
    own = scene.budget(BudgetScope.MEMBER, scene.bob.id, limit=7 * DOLLAR)
    found = {limit.budget_id: limit for limit in scene.of(scene.owner, scene.bob).budgets}
    assert set(found) == {whole, daily, shared, own}
    assert sorted(found[own].replaces) == sorted([general, each])


def test_members_see_their_own_limits_and_no_amounts_of_the_workspace(scene: Scene) -> None:
    group = scene.group("Research")
    whole, shared = scene.budget(BudgetScope.WORKSPACE), scene.budget(BudgetScope.GROUP, group.id)
    found = {limit.budget_id: limit for limit in scene.of(scene.bob, scene.bob).budgets}
    assert (found[whole].limit, found[whole].standing) == (None, None)
    assert found[shared].limit == 20 * DOLLAR
    with pytest.raises(ServiceError) as refused:
        scene.of(scene.bob, scene.owner)
    assert code_of(refused) == "member_not_found"
    stranger = scene.place.member(eve := scene.place.person("eve@example.com"), scene.place.founded(eve).id)
    with pytest.raises(ServiceError) as missing:
        scene.of(scene.owner, stranger)
    assert code_of(missing) == "member_not_found"


def test_rules_for_models_name_their_groups(scene: Scene) -> None:
    scene.group("Everyone")
    interns = scene.group("Interns", ModelRules(allow=["a/*"], deny=["a/b"]))
    scene.budget(BudgetScope.PROJECT, "web")
    limits = scene.of(scene.bob, scene.bob)
    [rules] = limits.models
    assert (rules.source, rules.group_id, rules.group) == (ModelLimitSource.GROUP, interns.id, "Interns")
    assert (rules.allow, rules.deny) == (["a/*"], ["a/b"])
    assert (limits.session_budget, limits.project_budgets) == (None, 1)
    assert scene.of(scene.owner, scene.owner).models == []
