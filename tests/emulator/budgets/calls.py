"""Calls of a test: caller, claim and usage."""

import time
from typing import Any

from opencode_cloud.budgets.service import counters_of
from opencode_cloud.contracts.access import KnownKey, KnownMember, KnownWorkspace
from opencode_cloud.contracts.budgets import (
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    Claim,
    Counter,
    KnownBudget,
    Reservation,
)
from opencode_cloud.contracts.ids import AccountId, BudgetId, CallId, KeyId, MemberId, WorkspaceId
from opencode_cloud.contracts.usage import Tokens, UsageEvent
from opencode_cloud.kit.ids import new_id

NOON = 1_790_251_200
"""2026-09-24T12:00:00Z, in seconds."""


def budget(
    scope: BudgetScope,
    limit: int,
    unit: BudgetUnit = BudgetUnit.COST,
    period: BudgetPeriod = BudgetPeriod.MONTH,
    **more: Any,
) -> KnownBudget:
    return KnownBudget(id=BudgetId(new_id("bud")), scope=scope, unit=unit, period=period, limit=limit, **more)


class Caller:
    """A member with a key in a workspace. Each has budgets. The test sets the time."""

    def __init__(
        self,
        workspace: tuple[KnownBudget, ...] = (),
        member: tuple[KnownBudget, ...] = (),
        key: tuple[KnownBudget, ...] = (),
        at: int = NOON,
    ) -> None:
        self.workspace = KnownWorkspace(id=WorkspaceId(new_id("wrk")), name="Acme", budgets=workspace)
        self.member = KnownMember(
            id=MemberId(new_id("mem")),
            account_id=AccountId(new_id("acc")),
            workspace_id=self.workspace.id,
            role="member",
            email="intern@example.com",
            budgets=member,
        )
        self.key = KnownKey(
            id=KeyId(new_id("key")), workspace_id=self.workspace.id, member_id=self.member.id, budgets=key
        )
        self.at = at
        self.project = ""
        self.session = ""

    def counters(self) -> list[Counter]:
        of_call = {"project": self.project, "session": self.session}
        return counters_of(self.workspace, self.member, None, self.key, self.at, **of_call)

    def reservation(self, cost: int, *, tokens: int = 0, charged: int | None = None, lease: int = 900) -> Reservation:
        claim = Claim(cost=cost, charged=cost if charged is None else charged, tokens=tokens)
        return Reservation(
            id=CallId(new_id("call")), counters=self.counters(), claim=claim, lease_until=int(time.time()) + lease
        )

    def facts(self, reservation: Reservation) -> UsageEvent:
        return UsageEvent(
            id=reservation.id,
            at=self.at * 1000,
            workspace_id=self.workspace.id,
            member_id=self.member.id,
            key_id=self.key.id,
            reserved=reservation.claim.cost,
        )

    def used(self, reservation: Reservation, cost: int, *, tokens: int = 0, charged: int | None = None) -> UsageEvent:
        facts = self.facts(reservation)
        return UsageEvent(
            id=facts.id,
            at=facts.at,
            workspace_id=facts.workspace_id,
            member_id=facts.member_id,
            key_id=facts.key_id,
            reserved=facts.reserved,
            cost=cost,
            charged=cost if charged is None else charged,
            tokens=Tokens(output=tokens),
        )
