"""Crossings are detected from settled calls and first refusals, and published with one id despite crashes."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.budgets.service import LeaseReaper, Reservations, ThresholdDetector
from opencode_cloud.budgets.stream import BudgetsKeeper
from opencode_cloud.contracts.budgets import BudgetExhausted, BudgetPeriod, BudgetScope
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from tests.emulator.budgets.calls import Caller, budget
from tests.emulator.budgets.conftest import Tables

LIMIT = 1000


class Queue:
    """A queue that records messages. A `broken` one accepts none."""

    def __init__(self) -> None:
        self.sent: list[ThresholdReached] = []
        self.broken = False

    def send(self, events: Sequence[ThresholdReached]) -> None:
        if self.broken:
            raise ConnectionError("no queue")
        self.sent += events

    @property
    def thresholds(self) -> list[int]:
        return [each.threshold for each in self.sent]


class House:
    """A caller with a budget, and functions/budgets with its own event loop."""

    def __init__(self, tables: Tables) -> None:
        store = tables.store(AsyncDynamoDB())
        self.tables, self.queue, self.budgets = tables, Queue(), Reservations(store)
        self.keeper = BudgetsKeeper(LeaseReaper(store), ThresholdDetector(store, self.queue))
        self.caller = Caller(
            member=(budget(BudgetScope.MEMBER, LIMIT, name="intern@example.com"),), at=int(time.time())
        )

    def spend(self, cost: int) -> None:
        reservation = self.caller.reservation(cost)

        async def call() -> None:
            await self.budgets.reserve(reservation, self.caller.facts(reservation))
            await self.budgets.settle(reservation, self.caller.used(reservation, cost))

        self.keeper._loop.run(call())

    def stream(self) -> dict[str, Any]:
        """Deliver all events, as a stream that repeats itself."""
        images = self.tables.rows(self.tables.usage)
        records = [
            {"dynamodb": {"NewImage": image, "SequenceNumber": str(n)}} for n, image in enumerate(images, start=1)
        ]
        return self.keeper.follow({"Records": records})


@pytest.fixture
def house(tables: Tables) -> Iterator[House]:
    house = House(tables)
    yield house
    house.keeper._loop.close()


def test_each_threshold_is_told_once_however_often_the_stream_repeats(house: House) -> None:
    for cost, thresholds in ((400, []), (150, [50]), (300, [50, 80]), (150, [50, 80, 100])):
        house.spend(cost)
        assert [house.stream(), house.stream()] == [{"batchItemFailures": []}] * 2
        assert house.queue.thresholds == thresholds
    first = house.queue.sent[0]
    assert (first.workspace_id, first.used, first.budget.limit, first.budget.name) == (
        house.caller.workspace.id,
        550,
        LIMIT,
        "intern@example.com",
    )
    assert first.resets_at == house.caller.counters()[0].resets_at


def test_the_first_refusal_in_a_window_is_told_within_the_minute_and_once(house: House) -> None:
    house.spend(400)
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            house.spend(700)
    assert house.keeper.tick() == {"lost": 0, "alerts": 1}
    assert house.keeper.tick() == {"lost": 0, "alerts": 0}
    assert [(each.threshold, each.refused, each.used) for each in house.queue.sent] == [(100, True, 400)]
    house.spend(600)
    house.stream()
    assert house.queue.thresholds == [100, 50, 80]


def test_a_balance_that_is_raised_is_used_up_again_before_people_are_told_again(house: House) -> None:
    balance = budget(BudgetScope.BALANCE, LIMIT, period=BudgetPeriod.TOTAL)
    house.caller = Caller(workspace=(balance,), at=int(time.time()))
    house.spend(LIMIT)
    with pytest.raises(BudgetExhausted):
        house.spend(1)
    house.keeper.tick()
    assert house.queue.thresholds == [50, 80, 100]

    raised = msgspec.structs.replace(balance, limit=10 * LIMIT)
    house.caller.workspace = msgspec.structs.replace(house.caller.workspace, budgets=(raised,))
    house.spend(1)
    house.stream()
    assert house.queue.thresholds == [50, 80, 100]
    with pytest.raises(BudgetExhausted):
        house.spend(10 * LIMIT - 1)
    assert house.keeper.tick() == {"lost": 0, "alerts": 1}
    assert [(each.threshold, each.budget.limit, each.used) for each in house.queue.sent[3:]] == [
        (100, 10 * LIMIT, 1001)
    ]


def test_a_crossing_that_could_not_be_told_is_told_later(house: House) -> None:
    house.spend(600)
    house.queue.broken = True
    with pytest.raises(ConnectionError):
        house.stream()
    house.queue.broken = False
    assert house.stream() == {"batchItemFailures": []}
    assert house.queue.thresholds == [50]


def test_a_crossing_told_twice_has_one_id(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is killed after publishing and before recording."""
    house.spend(600)

    async def killed(*_: Any) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(house.keeper._detector._store, "note_alerts", killed)
        with pytest.raises(ConnectionError):
            house.stream()
    house.stream()
    assert house.queue.thresholds == [50, 50]
    assert len({each.id for each in house.queue.sent}) == 1


def test_a_new_window_is_told_of_anew(house: House) -> None:
    house.spend(600)
    house.caller.at += 32 * 86_400
    house.spend(600)
    house.stream()
    assert house.queue.thresholds == [50, 50]
    assert len({each.id for each in house.queue.sent}) == 2
