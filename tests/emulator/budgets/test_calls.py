"""The path of a call through its budgets, on a real DynamoDB."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from opencode_cloud.budgets.service import LeaseReaper, Reservations, reservations
from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.contracts.budgets import (
    BudgetBusy,
    BudgetExhausted,
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    Claim,
    RateLimited,
    Reservation,
)
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.schema.usage_events import counters_of, from_row
from tests.emulator.budgets.calls import NOON, Caller, budget
from tests.emulator.budgets.conftest import Tables
from tests.metrics import written_metrics


@dataclass
class Bench:
    tables: Tables
    store: CounterStore
    budgets: Reservations
    reaper: LeaseReaper

    async def reserve(self, caller: Caller, cost: int, **more: int) -> None:
        reservation = caller.reservation(cost, **more)
        await self.budgets.reserve(reservation, caller.facts(reservation))

    async def spend(self, caller: Caller, cost: int, **more: int) -> None:
        reservation = caller.reservation(cost, **more)
        await self.budgets.reserve(reservation, caller.facts(reservation))
        assert await self.budgets.settle(reservation, caller.used(reservation, cost, **more))

    def only_counter(self) -> dict[str, int]:
        counters = self.tables.counters()
        assert len(counters) == 1
        return next(iter(counters.values()))

    def events(self) -> dict[str, str]:
        return {event.id: event.outcome for event in map(from_row, self.tables.rows(self.tables.usage))}


@pytest.fixture
async def bench(tables: Tables) -> AsyncIterator[Bench]:
    dynamodb = AsyncDynamoDB()
    store = tables.store(dynamodb)
    yield Bench(tables, store, Reservations(store), LeaseReaper(store))
    await dynamodb.close()


# ------------------------------------------------------------------------------------- reserve and settle


async def test_what_was_not_used_of_a_reservation_is_given_back(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    reservation = caller.reservation(DOLLAR // 2)

    await bench.budgets.reserve(reservation, caller.facts(reservation))
    held = bench.only_counter()
    await bench.budgets.settle(reservation, caller.used(reservation, 1234))

    assert held == {"committed": DOLLAR // 2, "reserved": DOLLAR // 2, "spent": 0, "limit": DOLLAR}
    assert bench.only_counter() == {"committed": 1234, "reserved": 0, "spent": 1234, "limit": DOLLAR}
    assert bench.tables.reservations() == []
    assert bench.events() == {reservation.id: "completed"}


async def test_the_event_names_the_counters_that_the_call_was_settled_on(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),), key=(budget(BudgetScope.KEY, DOLLAR),))
    await bench.spend(caller, 5)
    [row] = bench.tables.rows(bench.tables.usage)
    assert set(counters_of(row)) == set(bench.tables.counters())


async def test_settling_again_changes_nothing(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    reservation = caller.reservation(1000)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    event = caller.used(reservation, 700)

    settled = await asyncio.gather(*(bench.budgets.settle(reservation, event) for _ in range(10)))

    assert sorted(settled) == [False] * 9 + [True]
    assert bench.only_counter()["spent"] == 700
    assert len(bench.events()) == 1


async def test_a_call_that_is_taken_back_leaves_neither_money_nor_requests_nor_an_event(bench: Bench) -> None:
    limits = (
        budget(BudgetScope.WORKSPACE, DOLLAR),
        budget(BudgetScope.WORKSPACE, 5, BudgetUnit.REQUESTS, BudgetPeriod.MINUTE),
    )
    caller = Caller(workspace=limits)
    reservation = caller.reservation(1000)
    await bench.budgets.reserve(reservation, caller.facts(reservation))

    assert await bench.store.release(reservation)
    assert not await bench.store.release(reservation)

    assert {counter["committed"] for counter in bench.tables.counters().values()} == {0}
    assert bench.tables.reservations() == []
    assert bench.events() == {}


async def test_a_client_that_leaves_while_its_call_is_reserved_holds_nothing_back(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    for turns in range(12):
        reservation = caller.reservation(1000)
        call = asyncio.create_task(bench.budgets.reserve(reservation, caller.facts(reservation)))
        for _ in range(turns):
            await asyncio.sleep(0)
        if call.cancel():
            with pytest.raises(asyncio.CancelledError):
                await call
        else:  # on a busy machine the store has answered by now
            assert await bench.store.release(reservation)
    while bench.budgets._returning:
        await asyncio.gather(*bench.budgets._returning)
    assert bench.tables.reservations() == []
    assert [row["committed"] for row in bench.tables.counters().values()] == [0]


async def test_an_exchange_beside_a_settlement_leaves_nothing_held_back(bench: Bench) -> None:
    """A client that leaves while another model is put in place settles with what it knows."""
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    for _ in range(20):
        old = caller.reservation(1000)
        new = msgspec.structs.replace(old, claim=Claim(cost=5000, charged=5000, tokens=0))
        await bench.budgets.reserve(old, caller.facts(old))
        exchanged, settled = await asyncio.gather(
            bench.budgets.exchange(old, new, caller.facts(new)), bench.budgets.settle(old, caller.used(old, 7))
        )
        assert settled
        assert exchanged in {True, False}
    assert bench.only_counter() == {"committed": 140, "reserved": 0, "spent": 140, "limit": DOLLAR}
    assert bench.tables.reservations() == []


async def test_calls_that_change_their_model_never_hold_more_than_the_budget(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    cheap, dear = DOLLAR // 20, DOLLAR // 6

    calls = [caller.reservation(cheap) for _ in range(15)]
    await asyncio.gather(*(bench.budgets.reserve(each, caller.facts(each)) for each in calls))

    async def exchange(old: Reservation) -> bool:
        new = msgspec.structs.replace(old, claim=Claim(cost=dear, charged=dear, tokens=0))
        try:
            return await bench.budgets.exchange(old, new, caller.facts(new))
        except BudgetBusy:
            return False

    raised = sum(await asyncio.gather(*map(exchange, calls)))
    assert bench.only_counter()["reserved"] == raised * dear + (15 - raised) * cheap <= DOLLAR
    # Two of fifteen fit beside the others' small claims, and a third does not.
    assert raised == 2


async def test_the_fullest_budget_of_money_says_how_much_is_used(bench: Bench) -> None:
    limits = (
        budget(BudgetScope.WORKSPACE, DOLLAR),
        budget(BudgetScope.WORKSPACE, 2, BudgetUnit.REQUESTS, BudgetPeriod.DAY),
        budget(BudgetScope.PROJECT, DOLLAR // 2, subject="web"),
    )
    caller = Caller(workspace=limits)
    assert await bench.budgets.used_percent(caller.reservation(10)) == 0
    caller.project = "web"
    await bench.spend(caller, DOLLAR // 4)
    assert await bench.budgets.used_percent(caller.reservation(10)) == 50
    caller.project = ""
    assert await bench.budgets.used_percent(caller.reservation(10)) == 25
    reservation = caller.reservation(DOLLAR // 2)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    assert await bench.budgets.used_percent(caller.reservation(10)) == 75
    assert await bench.budgets.used_percent(Caller().reservation(10)) == 0


async def test_a_call_without_budgets_leaves_a_trace_while_it_runs_and_an_event_after_it(bench: Bench) -> None:
    caller = Caller()
    reservation = caller.reservation(1000)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    assert bench.tables.reservations() == [reservation.id]
    assert await bench.budgets.settle(reservation, caller.used(reservation, 900))
    assert bench.tables.reservations() == []
    assert bench.events() == {reservation.id: "completed"}


async def test_a_call_cannot_be_reserved_twice(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    reservation = caller.reservation(1000)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    with pytest.raises(ValueError, match="has a reservation already"):
        await bench.budgets.reserve(reservation, caller.facts(reservation))
    assert bench.only_counter()["committed"] == 1000


# ------------------------------------------------------------------------------------- refusals


async def test_a_used_up_budget_says_whose_it_is_and_until_when(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    interns = budget(BudgetScope.MEMBER, 20 * DOLLAR, subject="mem_1", name="intern@example.com")
    caller = Caller(member=(interns,))
    monkeypatch.setattr(reservations, "now_seconds", lambda: caller.at)
    await bench.spend(caller, 20 * DOLLAR)

    with pytest.raises(BudgetExhausted) as refused:
        await bench.reserve(caller, 1)

    assert refused.value.status == 402
    assert refused.value.code == "budget_exhausted"
    text = "The monthly budget of intern@example.com is used up: $20.00 of $20.00 used. It resets on 1 "
    assert refused.value.message.startswith(text)
    said = dict(refused.value.details)
    assert said.pop("resets_at").endswith("-01T00:00:00Z")
    assert said == {
        "budget": interns.id,
        "scope": "member",
        "subject": "mem_1",
        "name": "intern@example.com",
        "unit": "cost",
        "period": "month",
        "limit": 20 * DOLLAR,
        "used": 20 * DOLLAR,
        "reserved": 0,
        "asked": 1,
    }
    resets_at = caller.counters()[0].resets_at
    assert resets_at is not None
    assert refused.value.retry_after == resets_at - caller.at


async def test_room_that_others_hold_back_is_busy_not_exhausted(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),), at=int(time.time()))
    await bench.reserve(caller, DOLLAR // 2 + 1)

    with pytest.raises(BudgetBusy) as refused:
        await bench.reserve(caller, DOLLAR // 2)

    assert refused.value.status == 429
    assert refused.value.code == "budget_busy"
    assert 1 <= (refused.value.retry_after or 0) <= 2
    assert refused.value.details["reserved"] == DOLLAR // 2 + 1


@pytest.mark.parametrize("unit", [BudgetUnit.REQUESTS, BudgetUnit.TOKENS])
async def test_a_rate_limit_says_when_the_minute_ends(bench: Bench, unit: BudgetUnit) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 3, unit, BudgetPeriod.MINUTE),), at=int(time.time()))
    for _ in range(3):
        await bench.spend(caller, 1, tokens=1)
    with pytest.raises(RateLimited) as refused:
        await bench.reserve(caller, 1, tokens=1)
    assert refused.value.code == "rate_limited"
    assert 1 <= (refused.value.retry_after or 0) <= 60
    assert refused.value.details["used"] == 3


async def test_a_limit_of_zero_is_zero(bench: Bench) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 0),))
    with pytest.raises(BudgetExhausted) as refused:
        await bench.reserve(caller, 1)
    assert refused.value.details["limit"] == 0
    assert bench.tables.rows(bench.tables.budgets) == []


async def test_a_call_that_no_window_can_hold_is_told_so_without_a_time_to_wait(bench: Bench) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 1000, BudgetUnit.TOKENS, BudgetPeriod.MINUTE),), at=int(time.time()))
    await bench.spend(caller, 1, tokens=10)
    with pytest.raises(BudgetExhausted) as refused:
        await bench.reserve(caller, 1, tokens=1001)
    assert refused.value.retry_after is None
    assert refused.value.details["used"] == 10
    assert "Ask for fewer output tokens" in refused.value.message


async def test_a_refused_call_holds_nothing_back_on_the_budgets_that_had_room(bench: Bench) -> None:
    caller = Caller(
        workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),), key=(budget(BudgetScope.KEY, 10),), at=int(time.time())
    )
    await bench.spend(caller, 10)
    before = bench.tables.counters()
    with pytest.raises(BudgetExhausted):
        await bench.reserve(caller, 5)
    assert bench.tables.counters() == before
    assert bench.tables.reservations() == []


async def test_of_several_used_up_budgets_the_answer_names_the_one_that_lasts_longest(bench: Bench) -> None:
    # On the last day of a month, day and month end at the same time.
    day = budget(BudgetScope.WORKSPACE, 10, period=BudgetPeriod.DAY)
    total = budget(BudgetScope.KEY, 10, period=BudgetPeriod.TOTAL)
    caller = Caller(workspace=(day,), key=(total,), at=int(time.time()))
    await bench.spend(caller, 10)
    with pytest.raises(BudgetExhausted) as refused:
        await bench.reserve(caller, 1)
    assert refused.value.details["budget"] == total.id


async def test_no_refusal_uses_words_by_which_the_client_sends_a_call_again(bench: Bench) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 10),), at=int(time.time()))
    await bench.spend(caller, 10)
    with pytest.raises(BudgetExhausted) as refused:
        await bench.reserve(caller, 1)
    text = refused.value.message.lower()
    assert not [word for word in ("again later", "try again", "rate limit", "too many", "overload") if word in text]


# ------------------------------------------------------------------------------------- whose budgets


async def test_the_workspaces_own_credential_needs_no_balance_and_counts_on_budgets(bench: Bench) -> None:
    balance = budget(BudgetScope.BALANCE, 10, period=BudgetPeriod.TOTAL)
    spending = budget(BudgetScope.WORKSPACE, DOLLAR)
    caller = Caller(workspace=(balance, spending))
    await bench.spend(caller, 10)
    await bench.spend(caller, 500, charged=0)
    counters = {key: row["spent"] for key, row in bench.tables.counters().items()}
    assert counters == {f"budget#{balance.id}#total": 10, f"budget#{spending.id}#2026-09": 510}


async def test_two_members_have_a_default_budget_each(bench: Bench) -> None:
    default = budget(BudgetScope.EACH_MEMBER, 10)
    first = Caller(workspace=(default,), at=int(time.time()))
    second = Caller(workspace=(default,), at=int(time.time()))
    await bench.spend(first, 10)
    await bench.spend(second, 10)
    with pytest.raises(BudgetExhausted, match=r"intern@example\.com"):
        await bench.reserve(first, 1)


async def test_workspaces_share_nothing(bench: Bench) -> None:
    one, other = (Caller(workspace=(budget(BudgetScope.WORKSPACE, 10),)) for _ in range(2))
    await bench.spend(one, 10)
    await bench.spend(other, 10)
    assert [row["spent"] for row in bench.tables.counters().values()] == [10, 10]


# ------------------------------------------------------------------------------------- windows and limits


async def test_a_new_window_begins_with_nothing_spent(bench: Bench) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 10, period=BudgetPeriod.DAY),), at=NOON)
    await bench.spend(caller, 10)
    caller.at += 12 * 3600
    await bench.spend(caller, 10)
    assert [row["spent"] for row in bench.tables.counters().values()] == [10, 10]


async def test_a_call_is_settled_in_the_window_that_it_was_reserved_in(bench: Bench) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 10, period=BudgetPeriod.MINUTE),), at=NOON)
    reservation = caller.reservation(10)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    caller.at += 60
    await bench.budgets.settle(reservation, caller.used(reservation, 4))
    assert bench.only_counter()["spent"] == 4


async def test_a_raised_limit_holds_at_once(bench: Bench) -> None:
    low = budget(BudgetScope.WORKSPACE, 10)
    caller = Caller(workspace=(low,), at=int(time.time()))
    await bench.spend(caller, 10)
    raised = type(low)(**{**{name: getattr(low, name) for name in low.__struct_fields__}, "limit": 20})
    caller.workspace = type(caller.workspace)(id=caller.workspace.id, name="Acme", budgets=(raised,))
    await bench.spend(caller, 10)
    assert bench.only_counter() == {"committed": 20, "reserved": 0, "spent": 20, "limit": 20}


# ------------------------------------------------------------------------------------- leases


async def test_a_lost_call_gives_back_what_it_held_and_leaves_an_event(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    reservation = caller.reservation(1000, lease=-1)
    await bench.budgets.reserve(reservation, caller.facts(reservation))

    with written_metrics() as metrics:
        swept = await asyncio.gather(*(bench.reaper.run(int(time.time())) for _ in range(3)))

    assert sum(swept) == 1
    assert sum(metrics["ReservationsLost"]) == 1
    assert bench.only_counter()["committed"] == 0
    assert bench.tables.reservations() == []
    [event] = map(from_row, bench.tables.rows(bench.tables.usage))
    assert (event.outcome, event.cost, event.reserved, event.key_id) == ("lost", 0, 1000, caller.key.id)


async def test_a_call_under_way_is_not_swept(bench: Bench) -> None:
    caller = Caller(workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),))
    await bench.reserve(caller, 1000)
    with written_metrics() as metrics:
        assert await bench.reaper.run(int(time.time())) == 0
    assert (metrics["ReservationsLost"], metrics["ReservationsOutstanding"]) == ([0], [1])
    assert bench.only_counter()["reserved"] == 1000


async def test_a_lost_request_was_still_a_request(bench: Bench) -> None:
    caller = Caller(key=(budget(BudgetScope.KEY, 5, BudgetUnit.REQUESTS, BudgetPeriod.MINUTE),))
    await bench.reserve(caller, 1000, lease=-1)
    await bench.reaper.run(int(time.time()))
    assert bench.only_counter()["spent"] == 1


async def test_what_a_call_used_is_counted_once_though_its_lease_was_swept(bench: Bench) -> None:
    limits = (
        budget(BudgetScope.WORKSPACE, DOLLAR),
        budget(BudgetScope.WORKSPACE, 5, BudgetUnit.REQUESTS, BudgetPeriod.MINUTE),
    )
    caller = Caller(workspace=limits)
    reservation = caller.reservation(1000, lease=-1)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    await bench.reaper.run(int(time.time()))
    event = caller.used(reservation, 600)

    settled = await asyncio.gather(*(bench.budgets.settle(reservation, event) for _ in range(5)))

    assert sorted(settled) == [False] * 4 + [True]
    assert sorted(row["spent"] for row in bench.tables.counters().values()) == [1, 600]
    assert bench.events() == {reservation.id: "lost", f"{reservation.id}.late": "completed"}
    rows = bench.tables.rows(bench.tables.usage)
    assert sum(from_row(row).cost for row in rows) == 600
    # Each event names its counters. The request is counted by the first event.
    counted = {row["sk"]["S"]: len(counters_of(row)) for row in rows}
    assert counted == {reservation.id: 2, f"{reservation.id}.late": 1}


async def test_a_late_settlement_leaves_a_limit_that_was_raised_meanwhile(bench: Bench) -> None:
    low = budget(BudgetScope.WORKSPACE, 1000)
    caller = Caller(workspace=(low,))
    reservation = caller.reservation(1000, lease=-1)
    await bench.budgets.reserve(reservation, caller.facts(reservation))
    await bench.reaper.run(int(time.time()))
    raised = msgspec.structs.replace(low, limit=DOLLAR)
    caller.workspace = msgspec.structs.replace(caller.workspace, budgets=(raised,))
    await bench.spend(caller, 5)
    assert await bench.budgets.settle(reservation, caller.used(reservation, 600))
    assert bench.only_counter() == {"committed": 605, "reserved": 0, "spent": 605, "limit": DOLLAR}


async def test_an_event_names_no_counter_that_the_call_did_not_touch(bench: Bench) -> None:
    caller = Caller(
        workspace=(budget(BudgetScope.BALANCE, 10, period=BudgetPeriod.TOTAL), budget(BudgetScope.WORKSPACE, DOLLAR))
    )
    await bench.spend(caller, 500, charged=0)
    [row] = bench.tables.rows(bench.tables.usage)
    assert list(counters_of(row)) == list(bench.tables.counters())
