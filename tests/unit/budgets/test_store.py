"""Counters and reservations with one writer: atomic transactions, and rows that are read as written.

Tests of concurrent writers run on the emulator (tests/emulator/budgets).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.budgets.store import AlertQueue, CounterStore, rows
from opencode_cloud.budgets.store.counter_usage import CounterUsageStore
from opencode_cloud.contracts.budgets import (
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    BudgetUsage,
    Claim,
    Counter,
    KnownBudget,
    Reservation,
    ReservationRefused,
)
from opencode_cloud.contracts.ids import BudgetId, CallId, WorkspaceId
from opencode_cloud.contracts.usage import Outcome, UsageEvent
from opencode_cloud.schema.usage_events import counters_of
from tests.unit.aws import Cloud, InProcessDynamoDB

NOON = 1_790_251_200
"""2026-09-24T12:00:00Z, in seconds."""
MONEY = KnownBudget(
    id=BudgetId("bud_1"),
    scope=BudgetScope.KEY,
    unit=BudgetUnit.COST,
    period=BudgetPeriod.MONTH,
    limit=100,
    subject="key_1",
)
REQUESTS = KnownBudget(
    id=BudgetId("bud_2"), scope=BudgetScope.WORKSPACE, unit=BudgetUnit.REQUESTS, period=BudgetPeriod.MINUTE, limit=2
)
MONTH = Counter(key="budget#bud_1#2026-09", budget=MONEY, starts_at=NOON - 60, resets_at=NOON + 600)
MINUTE = Counter(key="budget#bud_2#minute", budget=REQUESTS, resets_at=NOON + 60)


def reservation(call: str, cost: int, *counters: Counter, lease_until: int = NOON + 900) -> Reservation:
    return Reservation(
        id=CallId(call),
        counters=list(counters or (MONTH, MINUTE)),
        claim=Claim(cost=cost, charged=cost, tokens=0),
        lease_until=lease_until,
    )


def event(call: str, **changes: Any) -> UsageEvent:
    return UsageEvent(**{"id": call, "at": NOON * 1000, "workspace_id": "wrk_1", **changes})


@pytest.fixture
def store(cloud: Cloud) -> CounterStore:
    return CounterStore(InProcessDynamoDB(), cloud.table("budgets"), cloud.table("usage"))


async def standing(store: CounterStore, counter: Counter) -> tuple[int, int]:
    found = (await store.usages([counter.key]))[counter.key]
    return found.spent, found.reserved


class TestHolding:
    async def test_a_claim_is_held_on_every_counter(self, store: CounterStore) -> None:
        await store.hold(reservation("call_1", 30), event("call_1"))
        assert (await standing(store, MONTH), await standing(store, MINUTE)) == ((0, 30), (1, 0))

    async def test_a_claim_that_fits_exactly_is_held_and_one_more_is_refused(self, store: CounterStore) -> None:
        await store.hold(reservation("call_1", 100, MONTH), event("call_1"))
        with pytest.raises(ReservationRefused) as raised:
            await store.hold(reservation("call_2", 1, MONTH), event("call_2"))
        [shortage] = raised.value.shortages
        assert (shortage.counter, shortage.claimed, shortage.usage.reserved) == (MONTH, 1, 100)

    async def test_a_claim_that_one_counter_refuses_is_held_on_none(self, store: CounterStore) -> None:
        for number in range(2):
            await store.hold(reservation(f"call_{number}", 1), event(f"call_{number}"))
        with pytest.raises(ReservationRefused):
            await store.hold(reservation("call_2", 1), event("call_2"))
        assert await standing(store, MONTH) == (0, 2)
        assert await store.reservation(CallId("call_2")) is None

    async def test_a_call_has_one_reservation(self, store: CounterStore) -> None:
        await store.hold(reservation("call_1", 30), event("call_1"))
        with pytest.raises(ValueError, match="call_1"):
            await store.hold(reservation("call_1", 30), event("call_1"))
        assert await standing(store, MONTH) == (0, 30)

    async def test_a_reservation_is_read_as_written(self, store: CounterStore) -> None:
        facts = event("call_1", member_id="mem_1", metadata={"client": "opencode"})
        await store.hold(reservation("call_1", 30), facts)
        kept = await store.reservation(CallId("call_1"))
        assert kept is not None
        assert (kept.id, kept.claimed, kept.lease_until, kept.facts) == ("call_1", 30, NOON + 900, facts)
        assert [(held.key, held.amount, held.spent) for held in kept.held] == [
            (MONTH.key, 30, False),
            (MINUTE.key, 1, True),
        ]

    async def test_a_call_without_budgets_is_noted_too(self, store: CounterStore) -> None:
        free = Reservation(id=CallId("call_1"), counters=[], claim=Claim(cost=0, charged=0, tokens=0), lease_until=NOON)
        await store.hold(free, event("call_1"))
        assert await store.reservation(CallId("call_1")) is not None


class TestEnding:
    async def test_what_was_used_takes_the_place_of_what_was_held_once(self, store: CounterStore) -> None:
        held = reservation("call_1", 30)
        await store.hold(held, event("call_1"))
        used = {MONTH.key: 20}
        assert await store.settle(held, event("call_1", cost=20), used)
        assert not await store.settle(held, event("call_1", cost=20), used)
        assert (await standing(store, MONTH), await standing(store, MINUTE)) == ((20, 0), (1, 0))
        assert await store.reservation(CallId("call_1")) is None
        assert await store.outcomes(event("call_1"), ["call_1", "call_2"]) == {"call_1": Outcome.COMPLETED}

    async def test_a_reservation_that_is_given_back_leaves_nothing(self, store: CounterStore) -> None:
        held = reservation("call_1", 30)
        await store.hold(held, event("call_1"))
        assert await store.release(held)
        assert not await store.release(held)
        assert (await standing(store, MONTH), await standing(store, MINUTE)) == ((0, 0), (0, 0))

    async def test_a_lost_call_gives_back_its_money_and_has_had_its_request(self, store: CounterStore) -> None:
        await store.hold(reservation("call_1", 30), event("call_1"))
        kept = await store.reservation(CallId("call_1"))
        assert kept is not None
        lost = event("call_1", outcome=Outcome.LOST)
        assert await store.sweep(kept, lost)
        assert not await store.sweep(kept, lost)
        assert (await standing(store, MONTH), await standing(store, MINUTE)) == ((0, 0), (1, 0))
        assert await store.outcomes(lost, ["call_1"]) == {"call_1": Outcome.LOST}

    async def test_a_late_event_is_added_once(self, store: CounterStore) -> None:
        late = reservation("call_1", 30)
        assert await store.add(late, event("call_1.late"), {MONTH.key: 7})
        assert not await store.add(late, event("call_1.late"), {MONTH.key: 7})
        assert await standing(store, MONTH) == (7, 0)


class TestExchange:
    """Another model serves the call: its claim takes the place of the first, in one transaction."""

    def claiming(self, cost: int, *counters: Counter, charged: int | None = None) -> Reservation:
        claim = Claim(cost=cost, charged=cost if charged is None else charged, tokens=0)
        return msgspec.structs.replace(reservation("call_1", 0, *counters), claim=claim)

    @pytest.mark.parametrize("cost", [0, 10, 30, 100])
    async def test_the_call_holds_the_new_amounts_only(self, store: CounterStore, cost: int) -> None:
        old, new = self.claiming(30), self.claiming(cost)
        await store.hold(old, event("call_1", model="big"))
        assert await store.exchange(old, new, event("call_1", model="small"))
        assert (await standing(store, MONTH), await standing(store, MINUTE)) == ((0, cost), (1, 0))
        kept = await store.reservation(CallId("call_1"))
        assert kept is not None
        assert (kept.claimed, kept.facts.model) == (cost, "small")
        assert await store.settle(new, event("call_1", cost=7), {MONTH.key: 7})
        assert (await standing(store, MONTH), await standing(store, MINUTE)) == ((7, 0), (1, 0))

    async def test_what_does_not_fit_leaves_all_as_it_was(self, store: CounterStore) -> None:
        await store.hold(reservation("call_2", 50, MONTH), event("call_2"))
        old = self.claiming(30)
        await store.hold(old, event("call_1"))
        with pytest.raises(ReservationRefused) as raised:
            await store.exchange(old, self.claiming(51), event("call_1"))
        [shortage] = raised.value.shortages
        # The amount that the call holds itself is not in its own way.
        assert (shortage.counter, shortage.claimed, shortage.usage.reserved) == (MONTH, 51, 50)
        assert await standing(store, MONTH) == (0, 80)
        assert await store.exchange(old, self.claiming(50), event("call_1"))
        assert await standing(store, MONTH) == (0, 100)

    async def test_a_settlement_that_does_not_know_of_it_leaves_nothing_held(self, store: CounterStore) -> None:
        old = self.claiming(30)
        await store.hold(old, event("call_1"))
        assert await store.exchange(old, self.claiming(80), event("call_1"))
        assert await store.settle(old, event("call_1", cost=5), {MONTH.key: 5})
        assert await standing(store, MONTH) == (5, 0)

    async def test_a_call_that_has_ended_holds_nothing_again(self, store: CounterStore) -> None:
        old = self.claiming(30)
        await store.hold(old, event("call_1"))
        await store.settle(old, event("call_1"), {})
        for cost in (10, 80):
            assert not await store.exchange(old, self.claiming(cost), event("call_1"))
        assert await standing(store, MONTH) == (0, 0)
        assert await store.reservation(CallId("call_1")) is None

    async def test_a_call_with_an_own_key_comes_to_count_on_the_balance(self, store: CounterStore) -> None:
        money = msgspec.structs.replace(MONEY, id=BudgetId("bud_3"), scope=BudgetScope.BALANCE)
        balance = Counter(key="budget#bud_3#total", budget=money, resets_at=None)
        old, new = self.claiming(30, MONTH, balance, charged=0), self.claiming(20, MONTH, balance)
        await store.hold(old, event("call_1"))
        assert await standing(store, balance) == (0, 0)
        await store.exchange(old, new, event("call_1"))
        assert (await standing(store, MONTH), await standing(store, balance)) == ((0, 20), (0, 20))
        await store.exchange(new, old, event("call_1"))
        assert (await standing(store, MONTH), await standing(store, balance)) == ((0, 30), (0, 0))

    async def test_the_sweep_gives_back_the_new_amounts(self, store: CounterStore) -> None:
        old = self.claiming(30)
        await store.hold(old, event("call_1"))
        first = await store.reservation(CallId("call_1"))
        await store.exchange(old, self.claiming(60), event("call_1"))
        second = await store.reservation(CallId("call_1"))
        assert first is not None
        assert second is not None
        lost = event("call_1", outcome=Outcome.LOST)
        # A sweep that read the row before the exchange changes nothing.
        assert not await store.sweep(first, lost)
        assert await store.sweep(second, lost)
        assert await standing(store, MONTH) == (0, 0)


class TestLeases:
    async def test_expired_leases_are_found_and_others_are_outstanding(self, store: CounterStore) -> None:
        for number in range(20):
            lease_until = NOON - 1 if number < 12 else NOON + 900
            call = f"call_{number}"
            await store.hold(reservation(call, 0, MONTH, lease_until=lease_until), event(call))
        assert set(await store.expired(NOON, 100)) == {f"call_{number}" for number in range(12)}
        assert await store.outstanding(NOON) == 8

    async def test_a_refusal_is_noted_once_for_each_limit(self, store: CounterStore) -> None:
        await store.hold(reservation("call_1", 100, MONTH), event("call_1"))
        await store.note_refusal(MONTH, NOON)
        assert await store.refused(NOON, 10) == [MONTH.key]
        await store.forget_refusal(MONTH.key)
        await store.note_refusal(MONTH, NOON)
        assert await store.refused(NOON, 10) == []
        raised = msgspec.structs.replace(MONTH, budget=msgspec.structs.replace(MONEY, limit=200))
        await store.note_refusal(raised, NOON)
        assert await store.refused(NOON, 10) == [MONTH.key]

    async def test_a_counter_says_what_it_counts_and_who_was_told(self, store: CounterStore) -> None:
        await store.hold(reservation("call_1", 100, MONTH), event("call_1"))
        await store.note_alerts(MONTH.key, ["80", "100"])
        [counter] = await store.counters([MONTH.key, "unknown"])
        assert (counter.key, counter.workspace_id, counter.budget) == (MONTH.key, "wrk_1", MONEY)
        assert (counter.starts_at, counter.resets_at) == (MONTH.starts_at, MONTH.resets_at)
        assert (counter.usage, counter.alerted) == (BudgetUsage(reserved=100), {"80", "100"})


async def test_more_counters_than_a_batch_takes_are_read(store: CounterStore) -> None:
    await store.hold(reservation("call_1", 30, MONTH), event("call_1"))
    keys = [*(f"budget#{number}" for number in range(100)), MONTH.key]
    found = CounterUsageStore("budgets").of(keys)
    assert found.keys() == set(keys)
    assert (found[MONTH.key], found["budget#0"]) == (BudgetUsage(reserved=30), BudgetUsage())
    assert [counter.key for counter in await store.counters(keys)] == [MONTH.key]


async def test_a_counter_outlives_its_window_and_then_expires(cloud: Cloud, store: CounterStore) -> None:
    await store.hold(reservation("call_1", 30, MONTH), event("call_1"))
    [ttl] = [int(row["ttl"]["N"]) for row in cloud.rows("budgets") if "ttl" in row]
    assert ttl == NOON + 600 + rows.KEPT_DAYS * 86_400


class TestSessions:
    """The counter of a session: exact like the others, but neither in the books nor kept for ever."""

    SESSION = Counter(
        key="session#wrk_1#ses_1",
        budget=KnownBudget(
            id=BudgetId("session_budget"),
            scope=BudgetScope.SESSION,
            unit=BudgetUnit.COST,
            period=BudgetPeriod.TOTAL,
            limit=100,
            subject="ses_1",
            alerts=False,
        ),
        resets_at=None,
        unused_until=NOON + 86_400,
    )

    async def test_it_is_held_and_settled_like_the_others(self, store: CounterStore) -> None:
        held = reservation("call_1", 60, self.SESSION, MONTH)
        await store.hold(held, event("call_1"))
        with pytest.raises(ReservationRefused):
            await store.hold(reservation("call_2", 60, self.SESSION), event("call_2"))
        await store.settle(held, event("call_1"), {self.SESSION.key: 40, MONTH.key: 40})
        assert (await standing(store, self.SESSION), await standing(store, MONTH)) == ((40, 0), (40, 0))

    async def test_it_lives_on_while_it_is_used(self, cloud: Cloud, store: CounterStore) -> None:
        for number, until in enumerate((NOON + 60, NOON + 600)):
            counter = msgspec.structs.replace(self.SESSION, unused_until=until)
            await store.hold(reservation(f"call_{number}", 1, counter), event(f"call_{number}"))
            assert [int(row["ttl"]["N"]) for row in cloud.rows("budgets") if "ttl" in row] == [until]

    async def test_no_event_names_it(self, cloud: Cloud, store: CounterStore) -> None:
        for call in ("call_1", "call_2", "call_3"):
            await store.hold(reservation(call, 10, self.SESSION, MONTH), event(call))
        await store.settle(reservation("call_1", 10, self.SESSION, MONTH), event("call_1"), {self.SESSION.key: 1})
        kept = await store.reservation(CallId("call_2"))
        assert kept is not None
        await store.sweep(kept, event("call_2", outcome=Outcome.LOST))
        late = {self.SESSION.key: 2, MONTH.key: 2}
        await store.add(reservation("call_4", 10, self.SESSION, MONTH), event("call_4"), late)
        found = cloud.rows("usage")
        assert len(found) == 3
        assert all(counters_of(row) == (MONTH.key,) for row in found)


def test_a_reached_threshold_arrives_whole(cloud: Cloud) -> None:
    event = ThresholdReached(
        id="one",
        workspace_id=WorkspaceId("wrk_1"),
        budget=MONEY,
        threshold=80,
        used=81,
        refused=False,
        starts_at=NOON,
        resets_at=None,
        at=NOON,
    )
    url = cloud.queue("alerts")
    AlertQueue(url).send([event])
    assert [msgspec.json.decode(each["Body"], type=ThresholdReached) for each in cloud.messages(url)] == [event]
