"""Many calls of one workspace at one time: DynamoDB cancels transactions that meet on a row, and no emulator does.

A simulation in virtual time. The real store of counters runs on an event loop whose clock jumps, against rows in memory
with DynamoDB's rule: a transaction that names a row of another one in flight is cancelled with `TransactionConflict`.
"""

from __future__ import annotations

import asyncio
import random
import re
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from opencode_cloud.budgets.service import Reservations
from opencode_cloud.budgets.store import CounterStore, counters
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Claim, KnownBudget, Reservation
from opencode_cloud.contracts.ids import BudgetId, CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.dynamodb import Contended, TransactionRefused
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.retry import Backoff

TRANSACTION_SECONDS = 0.012
"""Assumed time of a transaction, during which its rows are taken. AWS publishes none."""

CONFLICT_SECONDS = 0.005
"""Assumed time until a cancelled transaction is answered."""

NOON = 1_790_251_200
PRICE = 3
"""The amount that each call reserves and uses, in micro-cents."""

BUDGET = KnownBudget(
    id=BudgetId("bud_1"), scope=BudgetScope.WORKSPACE, unit=BudgetUnit.COST, period=BudgetPeriod.DAY, limit=10**9
)


class _Jump(selectors.SelectSelector):
    """A selector that does not wait: it moves the clock of its loop."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which an hour takes as long as its code."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jump.now


@dataclass
class Rows:
    """Rows in memory with the expressions of the store of counters, and DynamoDB's rule for transactions that meet."""

    rows: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict[tuple[str, str, str], dict[str, Any]])
    taken: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    conflicts: int = 0
    done: dict[str, None] = field(default_factory=dict[str, None])

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Execute a transaction.

        Raises:
            Contended: Another transaction has one of its rows.
            TransactionRefused: A condition failed.
        """
        if operation == "UpdateItem":
            return {}  # a note for the sweep, on a refused counter
        if operation != "TransactWriteItems":
            raise NotImplementedError(operation)
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        keys = {_key(kind, action) for kind, action in actions}
        if keys & self.taken:
            self.conflicts += 1
            await asyncio.sleep(CONFLICT_SECONDS)
            raise Contended("store_contended", "TransactionConflict", retry_after=1)
        self.taken |= keys
        try:
            await asyncio.sleep(TRANSACTION_SECONDS)
            if request["ClientRequestToken"] not in self.done:
                self._execute(actions)
                self.done[request["ClientRequestToken"]] = None
        finally:
            self.taken -= keys
        return {}

    def _execute(self, actions: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        reasons: list[tuple[str, Any]] = []
        for kind, action in actions:
            row = self.rows.get(_key(kind, action))
            good = _holds(action.get("ConditionExpression", ""), row, action.get("ExpressionAttributeValues", {}))
            reasons.append(("None" if good else "ConditionalCheckFailed", None if good else row))
        if any(code != "None" for code, _ in reasons):
            raise TransactionRefused(reasons)
        for kind, action in actions:
            self._apply(kind, action)

    def _apply(self, kind: str, action: Mapping[str, Any]) -> None:
        key = _key(kind, action)
        match kind:
            case "Put":
                self.rows[key] = dict(action["Item"])
            case "Delete":
                self.rows.pop(key, None)
            case _:
                _update(self.rows.setdefault(key, dict(action["Key"])), action)


def _key(kind: str, action: Mapping[str, Any]) -> tuple[str, str, str]:
    named = action["Item"] if kind == "Put" else action["Key"]
    return action["TableName"], named["pk"]["S"], named["sk"]["S"]


def _holds(condition: str, row: Mapping[str, Any] | None, values: Mapping[str, Any]) -> bool:
    """Evaluate the conditions that the store of counters uses, and no others."""
    match condition:
        case "":
            return True
        case "attribute_not_exists(pk)":
            return row is None
        case "held = :held":
            return row is not None and row.get("held") == values[":held"]
        case "attribute_not_exists(committed) OR committed <= :room":
            return row is None or "committed" not in row or int(row["committed"]["N"]) <= int(values[":room"]["N"])
        case _:
            raise NotImplementedError(condition)


def _update(row: dict[str, Any], action: Mapping[str, Any]) -> None:
    """Evaluate `SET #a = :a, ... ADD b :c, ...`."""
    values, names = action["ExpressionAttributeValues"], action.get("ExpressionAttributeNames", {})
    setting, _, adding = action["UpdateExpression"].rpartition("ADD ")
    for name, value in re.findall(r"(#\w+) = (:\w+)", setting):
        row[names[name]] = values[value]
    for name, value in re.findall(r"(\w+) (:\w+)", adding):
        row[name] = {"N": str(int(row.get(name, {"N": "0"})["N"]) + int(values[value]["N"]))}


@dataclass(frozen=True)
class Outcome:
    """The result of the calls of one rate."""

    rate: float
    """Calls a second that began."""
    calls: int
    refused: int
    """Calls that were answered 503 `budget_contention`."""
    unsettled: int
    """Calls that were served, but could not be settled within twenty seconds."""
    waits: list[float]
    """Seconds until each admitted call was admitted, sorted."""
    conflicts: int
    committed: int
    spent: int

    def wait(self, part: float) -> float:
        """Return the wait that `part` of all admitted calls do not exceed, in milliseconds."""
        return 1000 * self.waits[min(len(self.waits) - 1, int(part * len(self.waits)))] if self.waits else 0.0


def simulate(rate: float, *, seconds: float = 20.0, call_seconds: float = 10.0, limit: int = 10**9) -> Outcome:
    """Return the outcome of `rate` calls a second on one workspace during `seconds` of virtual time."""
    loop = VirtualLoop()
    try:
        with patch.object(counters, "retry_async", _retrying(loop)):
            return loop.run_until_complete(_run(loop, rate, seconds, call_seconds, limit))
    finally:
        loop.close()


def _retrying(loop: VirtualLoop) -> Callable[..., Coroutine[Any, Any, Any]]:
    drawn = random.Random(1)

    async def retry(function: Callable[[], Awaitable[Any]], backoff: Backoff, on: type[Exception]) -> Any:
        """Do as `retry_async`, by the clock of the loop."""
        for pause in backoff.pauses(draw=drawn.random, clock=loop.time):
            try:
                return await function()
            except on:
                await asyncio.sleep(pause)
        return await function()

    return retry


async def _run(loop: VirtualLoop, rate: float, seconds: float, call_seconds: float, limit: int) -> Outcome:
    rows, drawn = Rows(), random.Random(2)
    budget = KnownBudget(id=BUDGET.id, scope=BUDGET.scope, unit=BUDGET.unit, period=BUDGET.period, limit=limit)
    reservations = Reservations(CounterStore(rows, "budgets", "usage"))  # pyright: ignore[reportArgumentType]
    waits: list[float] = []
    failed: dict[str, int] = {"refused": 0, "unsettled": 0}

    async def call(number: int) -> None:
        began, call_id = loop.time(), CallId(f"call_{number}")
        event = UsageEvent(id=call_id, at=NOON * 1000, workspace_id=WorkspaceId("wrk_1"), cost=PRICE, charged=PRICE)
        claim = Claim(cost=PRICE, charged=PRICE, tokens=0)
        held = Reservation(id=call_id, counters=[counter(budget, NOON)], claim=claim, lease_until=NOON + 900)
        try:
            await reservations.reserve(held, event)
        except ServiceError:
            failed["refused"] += 1
            return
        waits.append(loop.time() - began)
        await asyncio.sleep(call_seconds * drawn.expovariate(1))
        try:
            await reservations.settle(held, event)
        except Contended:
            failed["unsettled"] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            group.create_task(call(number))
            await asyncio.sleep(drawn.expovariate(rate))
    row = next((it for key, it in rows.rows.items() if key[1].startswith("budget#")), {})
    amounts = {name: int(row.get(name, {"N": "0"})["N"]) for name in ("committed", "spent")}
    return Outcome(rate, int(rate * seconds), **failed, waits=sorted(waits), conflicts=rows.conflicts, **amounts)
