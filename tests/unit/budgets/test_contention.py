"""Concurrent calls on one counter conflict in DynamoDB, but in no emulator. No call is refused falsely."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from opencode_cloud.budgets.service import Reservations
from opencode_cloud.budgets.store import CounterStore, counters
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Claim, KnownBudget, Reservation
from opencode_cloud.contracts.ids import BudgetId, CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.dynamodb import Contended, TransactionRefused
from opencode_cloud.kit.errors import Unavailable

NOON = 1_790_251_200
EVENT = UsageEvent(id=CallId("call_1"), at=NOON * 1000, workspace_id=WorkspaceId("wrk_1"))


class Busy:
    """A stand-in for DynamoDB's client. `times` calls conflict with other writers."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.requests: list[Mapping[str, Any]] = []

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        if len(self.requests) <= self.times:
            raise Contended("store_contended", "busy", retry_after=1)
        return {}


def budgets(busy: Busy) -> Reservations:
    return Reservations(CounterStore(busy, "budgets", "usage"))  # pyright: ignore[reportArgumentType]


def reservation() -> Reservation:
    budget = KnownBudget(
        id=BudgetId("bud_1"), scope=BudgetScope.WORKSPACE, unit=BudgetUnit.COST, period=BudgetPeriod.DAY, limit=100
    )
    claim = Claim(cost=1, charged=1, tokens=1)
    return Reservation(id=CallId("call_1"), counters=[counter(budget, NOON)], claim=claim, lease_until=NOON + 900)


async def test_a_reservation_is_tried_on_under_one_token_so_that_it_is_made_once() -> None:
    busy = Busy(3)
    await budgets(busy).reserve(reservation(), EVENT)
    assert len(busy.requests) == 4
    assert len({request["ClientRequestToken"] for request in busy.requests}) == 1


async def test_a_settlement_that_dynamodb_cannot_take_is_not_called_settled() -> None:
    class Refusing(Busy):
        async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            raise TransactionRefused([("None", None), ("ValidationError", None)])

    with pytest.raises(TransactionRefused):
        await budgets(Refusing(0)).settle(reservation(), EVENT)


async def test_a_reservation_that_never_comes_through_is_no_full_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "RESERVE", replace(counters.RESERVE, seconds=0.2))
    with pytest.raises(Unavailable) as refused:
        await budgets(Busy(1000)).reserve(reservation(), EVENT)
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (503, "budget_contention", 1)
