"""The budgets that a call counts towards."""

from typing import Any

import msgspec

from opencode_cloud.budgets.service import counters_of
from opencode_cloud.budgets.service.group_budgets import MOST_OF_GROUPS
from opencode_cloud.contracts.access import EnforcedPolicy, KnownKey, KnownMember, KnownServiceAccount, KnownWorkspace
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Claim, KnownBudget
from opencode_cloud.contracts.ids import AccountId, BudgetId, GroupId, KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.kit.clock import DAY_SECONDS

NOON = 1_790_251_200


def budget(budget_id: str, scope: BudgetScope, **more: Any) -> KnownBudget:
    kind = {"unit": BudgetUnit.COST, "period": BudgetPeriod.MONTH, "limit": 100, **more}
    return KnownBudget(id=BudgetId(budget_id), scope=scope, **kind)


def ids(
    workspace: KnownWorkspace,
    member: KnownMember | None,
    machine: KnownServiceAccount | None,
    key: KnownKey | None,
) -> list[str]:
    return [counter.budget.id for counter in counters_of(workspace, member, machine, key, NOON)]


def workspace(*budgets: KnownBudget) -> KnownWorkspace:
    return KnownWorkspace(id=WorkspaceId("wrk_1"), name="Acme", budgets=budgets)


def member(*budgets: KnownBudget) -> KnownMember:
    return KnownMember(
        id=MemberId("mem_1"),
        account_id=AccountId("acc_1"),
        workspace_id=WorkspaceId("wrk_1"),
        role="member",
        email="ada@example.com",
        budgets=budgets,
    )


def key(*budgets: KnownBudget) -> KnownKey:
    return KnownKey(id=KeyId("key_1"), workspace_id=WorkspaceId("wrk_1"), budgets=budgets)


def test_a_members_call_counts_on_everything_that_bounds_it() -> None:
    place = workspace(
        budget("all", BudgetScope.WORKSPACE),
        budget("balance", BudgetScope.BALANCE),
        budget("each", BudgetScope.EACH_MEMBER),
    )
    assert ids(place, member(), None, key(budget("key", BudgetScope.KEY))) == ["all", "balance", "each", "key"]


def test_an_own_budget_takes_the_place_of_that_of_each_member_of_the_same_kind_only() -> None:
    place = workspace(
        budget("each month", BudgetScope.EACH_MEMBER),
        budget("each day", BudgetScope.EACH_MEMBER, period=BudgetPeriod.DAY),
        budget("each minute", BudgetScope.EACH_MEMBER, unit=BudgetUnit.TOKENS, period=BudgetPeriod.MINUTE),
    )
    found = ids(place, member(budget("own month", BudgetScope.MEMBER, subject="mem_1")), None, None)
    assert found == ["own month", "each day", "each minute"]


def test_a_machines_call_counts_on_no_members_budget() -> None:
    place = workspace(budget("all", BudgetScope.WORKSPACE), budget("each", BudgetScope.EACH_MEMBER))
    machine = KnownServiceAccount(
        id=ServiceAccountId("svc_1"),
        workspace_id=WorkspaceId("wrk_1"),
        name="ci",
        budgets=(budget("ci", BudgetScope.SERVICE_ACCOUNT),),
    )
    assert ids(place, None, machine, key(budget("key", BudgetScope.KEY))) == ["all", "ci", "key"]


def test_a_budget_of_a_project_counts_its_calls_only() -> None:
    place = workspace(
        budget("all", BudgetScope.WORKSPACE),
        budget("web", BudgetScope.PROJECT, subject="web"),
        budget("api", BudgetScope.PROJECT, subject="api"),
    )

    def of(project: str) -> list[str]:
        return [each.budget.id for each in counters_of(place, member(), None, None, NOON, project=project)]

    assert (of("web"), of("api"), of("Web"), of("")) == (["all", "web"], ["all", "api"], ["all"], ["all"])


def test_a_members_call_counts_on_the_budgets_of_all_of_their_groups_only() -> None:
    place = workspace(
        budget("all", BudgetScope.WORKSPACE),
        budget("research", BudgetScope.GROUP, subject="grp_1", name="Research"),
        budget("on call", BudgetScope.GROUP, subject="grp_2", name="On call"),
        budget("interns", BudgetScope.GROUP, subject="grp_3", name="Interns"),
        budget("each on call", BudgetScope.EACH_IN_GROUP, subject="grp_2", name="On call"),
        budget("each intern", BudgetScope.EACH_IN_GROUP, subject="grp_3", name="Interns"),
    )
    caller = msgspec.structs.replace(member(), groups=(GroupId("grp_1"), GroupId("grp_2"), GroupId("grp_gone")))
    counters = counters_of(place, caller, None, key(), NOON)
    assert [each.budget.id for each in counters] == ["all", "research", "on call", "each on call"]
    assert ids(place, member(), None, None) == ["all"]
    machine = KnownServiceAccount(id=ServiceAccountId("svc_1"), workspace_id=WorkspaceId("wrk_1"), name="ci")
    assert ids(place, None, machine, None) == ["all"]


def test_a_group_has_one_counter_and_each_in_a_group_has_their_own() -> None:
    place = workspace(
        budget("shared", BudgetScope.GROUP, subject="grp_1", name="Research"),
        budget("each", BudgetScope.EACH_IN_GROUP, subject="grp_1", name="Research"),
    )
    ada = msgspec.structs.replace(member(), groups=(GroupId("grp_1"),))
    bob = msgspec.structs.replace(ada, id=MemberId("mem_2"), email="bob@example.com")
    of_ada, of_bob = (counters_of(place, each, None, None, NOON) for each in (ada, bob))
    assert (of_ada[0].key, of_ada[0].budget.subject, of_ada[0].budget.name) == (of_bob[0].key, "grp_1", "Research")
    assert of_ada[1].key != of_bob[1].key
    assert (of_bob[1].budget.subject, of_bob[1].budget.name) == ("mem_2", "bob@example.com in group Research")


def test_the_nearest_of_the_budgets_that_count_each_member_replaces_the_others_of_its_kind() -> None:
    place = workspace(
        budget("each month", BudgetScope.EACH_MEMBER),
        budget("each day", BudgetScope.EACH_MEMBER, period=BudgetPeriod.DAY),
        budget("research month", BudgetScope.EACH_IN_GROUP, subject="grp_1"),
        budget("on call month", BudgetScope.EACH_IN_GROUP, subject="grp_2"),
        budget("research hour", BudgetScope.EACH_IN_GROUP, subject="grp_1", period=BudgetPeriod.HOUR),
        budget("shared month", BudgetScope.GROUP, subject="grp_1"),
    )
    groups = (GroupId("grp_1"), GroupId("grp_2"))
    by_groups = msgspec.structs.replace(member(), groups=groups)
    assert ids(place, by_groups, None, None) == [
        *("shared month", "research month", "on call month", "research hour", "each day")
    ]
    own = msgspec.structs.replace(member(budget("own month", BudgetScope.MEMBER, subject="mem_1")), groups=groups)
    assert ids(place, own, None, None) == ["own month", "shared month", "research hour", "each day"]


def test_a_session_has_a_budget_where_the_policy_sets_one() -> None:
    place = workspace()
    assert counters_of(place, member(), None, None, NOON, session="ses_1") == []
    place = msgspec.structs.replace(place, policy=EnforcedPolicy(session_budget=500))
    [found] = counters_of(place, member(), None, None, NOON, session="ses_1")
    [later] = counters_of(place, None, None, key(), NOON + 90 * DAY_SECONDS, session="ses_1")
    assert (found.budget.scope, found.budget.limit, found.resets_at) == (BudgetScope.SESSION, 500, None)
    assert found.key == later.key == "session#wrk_1#ses_1"
    assert found.unused_until == NOON + 30 * DAY_SECONDS
    assert not found.budget.watched
    assert counters_of(place, member(), None, None, NOON) == []


def test_a_call_counts_on_no_more_budgets_than_a_transaction_has_room_for() -> None:
    kinds = [
        {"unit": unit, "period": period}
        for unit in BudgetUnit
        for period in BudgetPeriod
        if (unit, period) != (BudgetUnit.COST, BudgetPeriod.MINUTE)
    ]

    def each(scope: BudgetScope, subject: str = "") -> list[KnownBudget]:
        return [budget(f"{scope} {number}", scope, subject=subject, **kind) for number, kind in enumerate(kinds)]

    shared = [*each(BudgetScope.WORKSPACE), *each(BudgetScope.EACH_MEMBER), *each(BudgetScope.PROJECT, "web")]
    place = workspace(*shared, budget("balance", BudgetScope.BALANCE))
    place = msgspec.structs.replace(place, policy=EnforcedPolicy(session_budget=500))
    caller, own = member(*each(BudgetScope.MEMBER, "mem_1")), key(*each(BudgetScope.KEY, "key_1"))
    counters = counters_of(place, caller, None, own, NOON, project="web", session="ses_1")
    assert len({counter.key for counter in counters}) == len(counters) == 58
    # A settlement also ends the reservation and writes the event. DynamoDB takes 100 actions.
    assert len(counters) + MOST_OF_GROUPS + 2 <= 100


def test_the_share_of_a_member_is_named_after_them() -> None:
    [share] = counters_of(workspace(budget("each", BudgetScope.EACH_MEMBER)), member(), None, None, NOON)
    assert (share.budget.subject, share.budget.name) == ("mem_1", "ada@example.com")


def test_what_counts_depends_on_the_unit_and_on_who_pays() -> None:
    claim = Claim(cost=500, charged=0, tokens=70)
    budgets = [
        budget("money", BudgetScope.WORKSPACE),
        budget("balance", BudgetScope.BALANCE),
        budget("tokens", BudgetScope.KEY, unit=BudgetUnit.TOKENS),
        budget("requests", BudgetScope.KEY, unit=BudgetUnit.REQUESTS),
    ]
    assert [claim.of(each) for each in budgets] == [500, 0, 70, 1]
