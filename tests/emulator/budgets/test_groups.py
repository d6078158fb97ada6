"""Budgets of groups under concurrency: the members share one counter, or have one each, and may leave at any time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from opencode_cloud.budgets.service import Reservations
from opencode_cloud.budgets.store import counters
from opencode_cloud.contracts.budgets import BudgetBusy, BudgetExhausted, BudgetScope, KnownBudget
from opencode_cloud.contracts.ids import AccountId, GroupId, MemberId
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.ids import new_id
from tests.emulator.budgets.calls import Caller, budget
from tests.emulator.budgets.conftest import Tables

GROUP, OTHER = GroupId("grp_1"), GroupId("grp_2")
SHARED, EACH, CLAIM, CALLS = 100, 45, 10, 10


def colleagues(number: int, *budgets: KnownBudget) -> list[Caller]:
    """Return members of one workspace who are in the group ``GROUP``."""
    first = Caller(budgets)
    callers = [first, *(Caller() for _ in range(number - 1))]
    for caller in callers:
        caller.workspace = first.workspace
        caller.member = msgspec.structs.replace(
            caller.member, id=MemberId(new_id("mem")), account_id=AccountId(new_id("acc")), groups=(GROUP,)
        )
    return callers


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let conflicts last longer on a busy machine. This is not a test of speed."""
    monkeypatch.setattr(counters, "RESERVE", counters.SETTLE)


async def test_members_at_once_overrun_neither_the_shared_budget_nor_their_own_part(tables: Tables) -> None:
    shared = budget(BudgetScope.GROUP, SHARED, subject=GROUP, name="Research")
    each = budget(BudgetScope.EACH_IN_GROUP, EACH, subject=GROUP, name="Research")
    callers, dynamodb = colleagues(4, shared, each), AsyncDynamoDB()
    service = Reservations(tables.store(dynamodb))
    refused: list[str] = []

    async def call(caller: Caller) -> int:
        reservation = caller.reservation(CLAIM)
        try:
            await service.reserve(reservation, caller.facts(reservation))
        except (BudgetExhausted, BudgetBusy) as error:
            refused.append(str(error.details["name"]))
            return 0
        await service.settle(reservation, caller.used(reservation, CLAIM))
        return CLAIM

    used = await asyncio.gather(*(call(caller) for caller in callers * CALLS))
    await dynamodb.close()
    rows = tables.counters()
    [whole] = [row for key, row in rows.items() if shared.id in key]
    parts = [row for key, row in rows.items() if each.id in key]
    assert (whole["spent"], whole["reserved"]) == (sum(used), 0)
    assert whole["spent"] <= SHARED
    assert len(parts) == len(callers)
    assert sum(part["spent"] for part in parts) == whole["spent"]
    assert max(part["committed"] for part in parts) <= EACH
    # Calls for 400 were asked, and 100 fit. A refusal names the group, alone or with the member.
    assert whole["spent"] > SHARED - CLAIM
    assert {name.removeprefix("intern@example.com in group ") for name in refused} == {"Research"}


async def test_a_member_who_changes_groups_in_the_middle_of_a_call_leaves_nothing_reserved(tables: Tables) -> None:
    old = budget(BudgetScope.GROUP, SHARED, subject=GROUP, name="Research")
    new = budget(BudgetScope.GROUP, SHARED, subject=OTHER, name="Sales")
    [caller], dynamodb = colleagues(1, old, new), AsyncDynamoDB()
    service = Reservations(tables.store(dynamodb))
    under_way = caller.reservation(60)
    await service.reserve(under_way, caller.facts(under_way))
    caller.member = msgspec.structs.replace(caller.member, groups=(OTHER,))
    following = caller.reservation(70)
    await service.reserve(following, caller.facts(following))
    await service.settle(under_way, caller.used(under_way, 50))
    await service.settle(following, caller.used(following, 30))
    caller.member = msgspec.structs.replace(caller.member, groups=(GROUP,))
    # A member who returns in the same month finds the earlier spending.
    with pytest.raises(BudgetExhausted, match="The monthly budget of group Research is too low"):
        await service.reserve(back := caller.reservation(60), caller.facts(back))
    await dynamodb.close()
    spent = {
        budget_id: (row["spent"], row["reserved"])
        for key, row in tables.counters().items()
        for budget_id in (old.id, new.id)
        if budget_id in key
    }
    assert spent == {old.id: (50, 0), new.id: (30, 0)}
    assert tables.reservations() == []
