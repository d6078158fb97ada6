"""Counters and reservations in DynamoDB. Each change is one transaction, so it is made completely or not at all.

DynamoDB's conditions cannot add, so a counter keeps ``committed`` = spent + reserved, and a claim fits while
``committed <= limit - claim``.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from opencode_cloud.budgets.store import rows
from opencode_cloud.budgets.store.rows import CounterRow, HeldAmount, StoredReservation
from opencode_cloud.contracts.budgets import (
    BudgetUsage,
    Counter,
    Reservation,
    ReservationRefused,
    Shortage,
    budget_contention,
)
from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import day_of
from opencode_cloud.kit.dynamodb import (
    AsyncDynamoDB,
    ConditionFailed,
    Contended,
    Item,
    TransactionRefused,
    batch_get_async,
    primary_key,
)
from opencode_cloud.kit.retry import Backoff, retry_async
from opencode_cloud.schema.usage_events import from_row, partition, to_row

RESERVE = Backoff(first=0.25, longest=0.25, seconds=5.0)
"""Attempts of a contended reservation. They bound the time to the first byte."""
SETTLE = Backoff(first=0.25, longest=0.25, seconds=20.0)
"""Attempts of a contended settlement. No client waits for it."""
_FAILED = "ConditionalCheckFailed"
_ABSENT = "attribute_not_exists(pk)"
_PRESENT = "attribute_exists(pk)"
_HELD = "held = :held"
"""The condition that a call has a reservation of exactly these amounts."""


class _Holding(NamedTuple):
    """The amounts that a call holds."""

    call_id: CallId
    held: Sequence[HeldAmount]


class CounterStore:
    """Reads and writes the tables ``budgets`` and ``usage`` from an event loop."""

    def __init__(self, dynamodb: AsyncDynamoDB, budgets_table: str, usage_table: str) -> None:
        self._dynamodb = dynamodb
        self._budgets = budgets_table
        self._usage = usage_table

    # ------------------------------------------------------------------------------------- writing

    async def hold(self, reservation: Reservation, facts: UsageEvent) -> None:
        """Reserve the most that a call may use on all of its counters; raises :class:`ReservationRefused`.

        Raises ``budget_contention`` (503) after five seconds of conflicts with other calls, and ``ValueError`` when the
        call already has a reservation.
        """
        held = rows.held_of(reservation)
        row = rows.reservation_row(reservation, held, facts)
        if not held:
            # No counter can refuse it. The row lets the sweep find the call if it is lost.
            await self._dynamodb.call("PutItem", {"TableName": self._budgets, "Item": row})
            return
        counters = {counter.key: counter for counter in reservation.counters}
        actions = [self._hold_on(counters[held_amount.key], held_amount, facts.workspace_id) for held_amount in held]
        actions.append(self._put(self._budgets, row))
        try:
            await self._write(actions, RESERVE)
        except TransactionRefused as refused:
            # One reason per action. The last action is the reservation's own row, which zip leaves out.
            short = [
                Shortage(counter=counters[held_amount.key], claimed=held_amount.amount, usage=rows.usage(item))
                for held_amount, (code, item) in zip(held, refused.reasons, strict=False)
                if code == _FAILED
            ]
            # Every counter has room, so the row's own condition failed.
            if not short:
                raise ValueError(f"{reservation.id} has a reservation already") from refused
            raise ReservationRefused(short) from refused
        except Contended as error:
            raise budget_contention() from error

    async def exchange(self, old: Reservation, new: Reservation, facts: UsageEvent) -> bool:
        """Replace the amounts that a call holds by those of ``new``, on all counters or on none.

        Both reservations have the same id. False when the call does not hold the amounts of ``old`` any more. Raises
        :class:`ReservationRefused` or ``budget_contention`` (503); then the call holds what it held.
        """
        before, after = ({held.key: held for held in rows.held_of(each)} for each in (old, new))
        counters = {counter.key: counter for counter in new.counters}
        more = {key: held.amount - before[key].amount if key in before else held.amount for key, held in after.items()}
        raised = [HeldAmount(key, amount, after[key].spent) for key, amount in more.items() if amount > 0]
        lowered = [HeldAmount(key, -amount, after[key].spent) for key, amount in more.items() if amount < 0]
        lowered += [held for key, held in before.items() if key not in after]
        row = rows.reservation_row(new, tuple(after.values()), facts)
        own = {"ConditionExpression": _HELD, "ExpressionAttributeValues": {":held": rows.held_text(before.values())}}
        actions = [self._hold_on(counters[held.key], held, facts.workspace_id) for held in raised]
        actions += [self._return(held) for held in lowered]
        actions.append({"Put": {"TableName": self._budgets, "Item": row, **own}})
        try:
            await self._write(actions, RESERVE)
        except TransactionRefused as refused:
            short = [
                _shortage(counters[held.key], after[held.key], before.get(held.key), item)
                for held, (code, item) in zip(raised, refused.reasons, strict=False)
                if code == _FAILED
            ]
            if short:
                raise ReservationRefused(short) from refused
            return False
        except Contended as error:
            raise budget_contention() from error
        return True

    async def settle(self, reservation: Reservation, event: UsageEvent, used: Mapping[str, int]) -> bool:
        """Replace the reservation with what was ``used`` (by counter), and write the event.

        False when the call has no reservation any more, because it was settled or swept.
        """
        if await self._settle(reservation, rows.held_of(reservation), event, used):
            return True
        # An exchange whose answer was lost may have replaced the amounts.
        stored = await self.reservation(reservation.id)
        return stored is not None and await self._settle(reservation, stored.held, event, used)

    async def add(self, reservation: Reservation, event: UsageEvent, used: Mapping[str, int]) -> bool:
        """Add what was ``used`` by a call without a reservation, and write its event; False when the event exists."""
        changes = self._charges(reservation.counters, {}, used, event.workspace_id)
        return await self._finish(None, changes, _event_row(event, [key for key, amount in used.items() if amount]))

    async def release(self, reservation: Reservation) -> bool:
        """Undo a reservation completely, including counted requests; False when there is none."""
        held = rows.held_of(reservation)
        changes = [self._return(held_amount) for held_amount in held]
        return await self._finish(_Holding(reservation.id, held), changes, None)

    async def sweep(self, reservation: StoredReservation, event: UsageEvent) -> bool:
        """Release a lost call's reservation, and write its event; False when it was settled or swept meanwhile."""
        # Counted requests stay counted: the call was admitted (docs/budgets.md).
        changes = [self._return(held_amount) for held_amount in reservation.held if not held_amount.spent]
        holding = _Holding(CallId(reservation.id), reservation.held)
        return await self._finish(holding, changes, _event_row(event, [held.key for held in reservation.held]))

    async def note_refusal(self, counter: Counter, at: int) -> None:
        """List a counter that refused a call at ``at`` (seconds) for the sweep, once for each limit of the counter."""
        request = {
            "TableName": self._budgets,
            "Key": rows.counter_key(counter.key),
            # Also set the limit: the stored one is from the last accepted call, and may have been raised since.
            "UpdateExpression": "SET refused_limit = :limit, #limit = :limit, lease_shard = :shard, lease_until = :now",
            "ConditionExpression": f"{_PRESENT} AND (attribute_not_exists(refused_limit) OR refused_limit <> :limit)",
            "ExpressionAttributeNames": {"#limit": "limit"},
            "ExpressionAttributeValues": {
                ":limit": {"N": str(counter.budget.limit)},
                ":now": {"N": str(at)},
                ":shard": {"S": rows.REFUSED_SHARD},
            },
        }
        try:
            await self._dynamodb.call("UpdateItem", request)
        except ConditionFailed:
            return

    async def forget_refusal(self, key: str) -> None:
        """Remove a counter from the sweep's list."""
        request = {
            "TableName": self._budgets,
            "Key": rows.counter_key(key),
            # Keep the refused limit: the next refusal by the same limit must not list the counter again.
            "UpdateExpression": "REMOVE lease_shard, lease_until",
            "ConditionExpression": _PRESENT,
        }
        await self._dynamodb.call("UpdateItem", request)

    async def note_alerts(self, key: str, marks: Sequence[str]) -> None:
        """Record on a counter the thresholds that people were notified of."""
        request = {
            "TableName": self._budgets,
            "Key": rows.counter_key(key),
            # Adding to a set is idempotent, so a repeated check is harmless.
            "UpdateExpression": "ADD alerted :marks",
            "ConditionExpression": _PRESENT,
            "ExpressionAttributeValues": {":marks": {"SS": list(marks)}},
        }
        await self._dynamodb.call("UpdateItem", request)

    # ------------------------------------------------------------------------------------- reading

    async def counters(self, keys: Sequence[str]) -> list[CounterRow]:
        """Return the counters with these keys that exist."""
        items = await self._get(self._budgets, [rows.counter_key(key) for key in keys])
        return [rows.counter_row(item) for item in items]

    async def refused(self, now: int, limit: int) -> list[str]:
        """Return the keys of counters that refused a call and were not checked since."""
        return [row["pk"]["S"] for row in await self._leases(rows.REFUSED_SHARD, now, limit)]

    async def usages(self, keys: Sequence[str]) -> dict[str, BudgetUsage]:
        """Return the usage of counters, by key."""
        items = await self._get(self._budgets, [rows.counter_key(key) for key in keys])
        return {key: BudgetUsage() for key in keys} | {item["pk"]["S"]: rows.usage(item) for item in items}

    async def outcomes(self, event: UsageEvent, calls: Sequence[str]) -> dict[str, str]:
        """Return the outcomes of the events ``calls`` that exist on the workspace and day of ``event``."""
        pk = partition(event.workspace_id, day_of(event.at // 1000))
        items = await self._get(self._usage, [primary_key(pk, call) for call in calls])
        return {item["sk"]["S"]: from_row(item).outcome for item in items}

    async def expired(self, now: int, limit: int) -> list[str]:
        """Return calls whose lease ended before ``now`` (seconds), the oldest first in each shard."""
        shards = await asyncio.gather(*(self._leases(shard, now, limit) for shard in rows.SHARDS))
        return [row["pk"]["S"].removeprefix("call#") for shard in shards for row in shard]

    async def outstanding(self, now: int) -> int:
        """Return the number of open reservations. The count stops at about 10,000 per shard."""
        request = {
            "TableName": self._budgets,
            "IndexName": "leases",
            "Select": "COUNT",
            "KeyConditionExpression": "lease_shard = :shard AND lease_until > :now",
        }
        values = [{":shard": {"S": shard}, ":now": {"N": str(now)}} for shard in rows.SHARDS]
        answers = await asyncio.gather(
            *(self._dynamodb.call("Query", {**request, "ExpressionAttributeValues": value}) for value in values)
        )
        return sum(answer["Count"] for answer in answers)

    async def reservation(self, call_id: CallId) -> StoredReservation | None:
        """Return a call's reservation; None when it has none any more."""
        request = {"TableName": self._budgets, "Key": rows.reservation_key(call_id), "ConsistentRead": True}
        row = (await self._dynamodb.call("GetItem", request)).get("Item")
        return rows.stored_reservation(row) if row else None

    # ------------------------------------------------------------------------------------- internals

    async def _settle(
        self, reservation: Reservation, holding: Sequence[HeldAmount], event: UsageEvent, used: Mapping[str, int]
    ) -> bool:
        held = {item.key: item for item in holding}
        changes = self._charges(reservation.counters, held, used, event.workspace_id)
        # The event names its counters, so that alerting checks only these.
        touched = [counter.key for counter in reservation.counters if counter.key in held or used.get(counter.key)]
        return await self._finish(_Holding(reservation.id, holding), changes, _event_row(event, touched))

    def _hold_on(self, counter: Counter, held: HeldAmount, workspace_id: WorkspaceId) -> Item:
        description = rows.description(counter, workspace_id)
        kind = "spent" if held.spent else "reserved"
        return {
            "Update": {
                "TableName": self._budgets,
                "Key": rows.counter_key(counter.key),
                "UpdateExpression": f"SET {_assignments(*description)} ADD committed :claim, {kind} :claim",
                # A new counter has no amount. The service has already refused claims above the limit.
                "ConditionExpression": "attribute_not_exists(committed) OR committed <= :room",
                "ExpressionAttributeNames": {f"#{name}": name for name in description},
                "ExpressionAttributeValues": {
                    **{f":{name}": value for name, value in description.items()},
                    ":claim": {"N": str(held.amount)},
                    ":room": {"N": str(counter.budget.limit - held.amount)},
                },
                # The refusal reports the counter's usage from the old row, without another read.
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _charges(
        self,
        counters: Sequence[Counter],
        held: Mapping[str, HeldAmount],
        used: Mapping[str, int],
        workspace_id: WorkspaceId,
    ) -> list[Item]:
        """Return the updates of counters that replace the reserved amounts with the used amounts."""
        changes: list[Item] = []
        for counter in counters:
            own, spent = held.get(counter.key), used.get(counter.key, 0)
            # Requests were counted as spent at reservation, so there is nothing to release.
            back = own.amount if own and not own.spent else 0
            if not back and not spent:
                continue
            # A counter without a reservation may not have a row yet. If it has one, its limit may be newer.
            description = {} if own else rows.description(counter, workspace_id)
            changes.append(self._change(counter.key, spent - back, {"reserved": -back, "spent": spent}, description))
        return changes

    def _return(self, held: HeldAmount) -> Item:
        return self._change(held.key, -held.amount, {"spent" if held.spent else "reserved": -held.amount}, {})

    def _change(self, key: str, committed: int, parts: Mapping[str, int], description: Mapping[str, Any]) -> Item:
        numbers = {"committed": committed, **parts}
        added = ", ".join(f"{name} :{name}_more" for name in numbers)
        update: Item = {
            "TableName": self._budgets,
            "Key": rows.counter_key(key),
            "UpdateExpression": f"ADD {added}",
            "ExpressionAttributeValues": {f":{name}_more": {"N": str(value)} for name, value in numbers.items()},
        }
        if description:
            update["UpdateExpression"] = f"SET {_defaults(*description)} ADD {added}"
            update["ExpressionAttributeNames"] = {f"#{name}": name for name in description}
            update["ExpressionAttributeValues"] |= {f":{name}": value for name, value in description.items()}
        return {"Update": update}

    async def _finish(self, holding: _Holding | None, changes: Sequence[Item], event: Item | None) -> bool:
        """Make ``changes``, put ``event``, and delete the reservation of ``holding``, which must have its amounts.

        False when no reservation has them, or the event exists. Raises :class:`TransactionRefused` otherwise.
        """
        actions = list(changes)
        if holding is not None:
            # The condition lets only one of settlement, sweep, release and exchange change the counters.
            own = {"ConditionExpression": _HELD, "ExpressionAttributeValues": {":held": rows.held_text(holding.held)}}
            key = rows.reservation_key(holding.call_id)
            actions.append({"Delete": {"TableName": self._budgets, "Key": key, **own}})
        if event is not None:
            actions.append(self._put(self._usage, event))
        try:
            await self._write(actions, SETTLE)
        except TransactionRefused as refused:
            if not any(code == _FAILED for code, _ in refused.reasons):
                raise
            return False
        return True

    def _put(self, table: str, row: Item) -> Item:
        return {"Put": {"TableName": table, "Item": row, "ConditionExpression": _ABSENT}}

    async def _write(self, actions: Sequence[Item], backoff: Backoff) -> None:
        """Execute a transaction; retry it while it conflicts with others.

        All attempts have the same client request token, so DynamoDB executes the transaction once.
        """
        request = {"TransactItems": actions, "ClientRequestToken": uuid.uuid4().hex}
        await retry_async(lambda: self._dynamodb.call("TransactWriteItems", request), backoff, Contended)

    async def _leases(self, shard: str, now: int, limit: int) -> list[Item]:
        request = {
            "TableName": self._budgets,
            "IndexName": "leases",
            "KeyConditionExpression": "lease_shard = :shard AND lease_until <= :now",
            "ExpressionAttributeValues": {":shard": {"S": shard}, ":now": {"N": str(now)}},
            "Limit": limit,
        }
        return (await self._dynamodb.call("Query", request))["Items"]

    async def _get(self, table: str, keys: Sequence[Item]) -> list[Item]:
        return (await batch_get_async(self._dynamodb, {table: keys}))[table]


def _shortage(counter: Counter, asked: HeldAmount, own: HeldAmount | None, row: Item | None) -> Shortage:
    """Return the shortage of a call that already holds a part of what it asks for."""
    usage, part = rows.usage(row), own.amount if own is not None and not own.spent else 0
    usage = msgspec.structs.replace(usage, reserved=max(0, usage.reserved - part))
    return Shortage(counter=counter, claimed=asked.amount, usage=usage)


def _event_row(event: UsageEvent, counters: Sequence[str]) -> Item:
    return to_row(event, [key for key in counters if rows.in_books(key)])


@cache
def _assignments(*names: str) -> str:
    return ", ".join(f"#{name} = :{name}" for name in names)


@cache
def _defaults(*names: str) -> str:
    return ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in names)
