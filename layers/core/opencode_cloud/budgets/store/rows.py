"""Rows of the DynamoDB table ``budgets`` (partition ``pk``, sort ``sk``).

=======================================  ================  ==========================================================
``budget#<budget>[:<subject>]#<window>``  ``COUNTER``       a budget in one window: ``committed`` (= spent + reserved),
                                                           ``reserved``, ``spent``, and the budget's description
``session#<workspace>#<session>``         ``COUNTER``       the budget of one session, in the same form
``call#<call>``                          ``RESERVATION``   what a call has reserved, until it is settled or swept
=======================================  ================  ==========================================================

The index ``leases`` (partition ``lease_shard``, sort ``lease_until``) lists the rows that the sweep checks:
reservations by the end of their lease, and counters that refused a call for the first time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from opencode_cloud.contracts.budgets import (
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    BudgetUsage,
    Counter,
    KnownBudget,
    Reservation,
)
from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import DAY_SECONDS
from opencode_cloud.kit.dynamodb import Item, primary_key

COUNTER, RESERVATION = "COUNTER", "RESERVATION"
# Each call writes the index twice, and one partition accepts 1,000 write units a second.
SHARDS = tuple(f"lease-{number}" for number in range(8))
"""Partitions of the index. Reservations are distributed over them."""
REFUSED_SHARD = "refused"
"""The partition of the index that lists counters that refused a call for the first time."""
KEPT_DAYS = 90
"""Days that a counter is kept after its window, for reconciliation and for people."""


class HeldAmount(msgspec.Struct, frozen=True, array_like=True):
    """The amount that a reservation holds on one counter."""

    key: str
    amount: int
    spent: bool
    """True if the amount counted as spent at once (requests). It is released only if the call never took place."""


class StoredReservation(msgspec.Struct, frozen=True):
    """A stored reservation: enough to release every amount and to write the event of a lost call."""

    id: str
    held: tuple[HeldAmount, ...]
    claimed: int
    """The reserved cost, in micro-cents."""
    lease_until: int
    facts: UsageEvent


class CounterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored counter."""

    key: str
    workspace_id: WorkspaceId
    budget: KnownBudget
    starts_at: int
    resets_at: int | None
    usage: BudgetUsage
    alerted: frozenset[str]
    """Marks of the thresholds that people were notified of."""


def counter_key(key: str) -> Item:
    """Return the primary key of a counter."""
    return primary_key(key, COUNTER)


def reservation_key(call_id: CallId) -> Item:
    """Return the primary key of a call's reservation."""
    return primary_key(f"call#{call_id}", RESERVATION)


def in_books(key: str) -> bool:
    """Return whether events name the counter, so that alerts and the nightly reconciliation check it.

    Sessions are too many for both, and their counters expire.
    """
    return key.startswith("budget#")


def held_of(reservation: Reservation) -> tuple[HeldAmount, ...]:
    """Return the amounts that a reservation holds, by counter.

    Counters with a zero claim are skipped, so BYOK calls succeed with an empty balance.
    """
    amounts = ((counter, reservation.claim.of(counter.budget)) for counter in reservation.counters)
    return tuple(HeldAmount(counter.key, amount, exact(counter.budget)) for counter, amount in amounts if amount)


def exact(budget: KnownBudget) -> bool:
    """Return whether a call's usage of ``budget`` is known before the call: it is always one request."""
    return budget.unit is BudgetUnit.REQUESTS


def reservation_row(reservation: Reservation, held: Sequence[HeldAmount], facts: UsageEvent) -> Item:
    """Return the row of a reservation."""
    return {
        **reservation_key(reservation.id),
        "lease_shard": {"S": SHARDS[zlib.crc32(reservation.id.encode()) % len(SHARDS)]},
        "lease_until": {"N": str(reservation.lease_until)},
        "held": held_text(held),
        "claimed": {"N": str(reservation.claim.cost)},
        "facts": {"S": msgspec.json.encode(facts).decode()},
    }


def held_text(held: Iterable[HeldAmount]) -> Item:
    """Return the attribute of a reservation's amounts. Equal amounts in equal order have equal attributes."""
    return {"S": msgspec.json.encode(tuple(held)).decode()}


def stored_reservation(row: Mapping[str, Any]) -> StoredReservation:
    """Read the row of a reservation."""
    return StoredReservation(
        id=row["pk"]["S"].removeprefix("call#"),
        held=msgspec.json.decode(row["held"]["S"], type=tuple[HeldAmount, ...]),
        claimed=int(row["claimed"]["N"]),
        lease_until=int(row["lease_until"]["N"]),
        facts=msgspec.json.decode(row["facts"]["S"], type=UsageEvent),
    )


def description(counter: Counter, workspace_id: WorkspaceId) -> dict[str, Any]:
    """Return the attributes that describe a counter. All but ``limit`` and ``ttl`` stay the same for its lifetime."""
    budget = counter.budget
    attributes: dict[str, Any] = {
        "workspace": {"S": workspace_id},
        "budget": {"S": budget.id},
        "scope": {"S": budget.scope.value},
        "subject": {"S": budget.subject},
        "name": {"S": budget.name},
        "unit": {"S": budget.unit.value},
        "period": {"S": budget.period.value},
        "alerts": {"BOOL": budget.alerts},
        "limit": {"N": str(budget.limit)},
        "starts_at": {"N": str(counter.starts_at)},
    }
    # A counter that never resets must never expire.
    if counter.resets_at is not None:
        attributes["resets_at"] = {"N": str(counter.resets_at)}
        attributes["ttl"] = {"N": str(counter.resets_at + KEPT_DAYS * DAY_SECONDS)}
    elif counter.unused_until is not None:
        attributes["ttl"] = {"N": str(counter.unused_until)}
    return attributes


def usage(row: Mapping[str, Any] | None) -> BudgetUsage:
    """Read the usage of a counter. A counter without a row has no usage."""
    if not row:
        return BudgetUsage()
    refused_limit = _number(row, "refused_limit") if "refused_limit" in row else None
    return BudgetUsage(spent=_number(row, "spent"), reserved=_number(row, "reserved"), refused_limit=refused_limit)


def counter_row(row: Mapping[str, Any]) -> CounterRow:
    """Read the row of a counter."""
    budget = KnownBudget(
        id=row["budget"]["S"],
        scope=BudgetScope(row["scope"]["S"]),
        unit=BudgetUnit(row["unit"]["S"]),
        period=BudgetPeriod(row["period"]["S"]),
        limit=_number(row, "limit"),
        subject=row["subject"]["S"],
        name=row["name"]["S"],
        alerts=row["alerts"]["BOOL"],
    )
    return CounterRow(
        key=row["pk"]["S"],
        workspace_id=row["workspace"]["S"],
        budget=budget,
        starts_at=_number(row, "starts_at"),
        resets_at=_number(row, "resets_at") if "resets_at" in row else None,
        usage=usage(row),
        alerted=frozenset(row.get("alerted", {}).get("SS", ())),
    )


def _number(row: Mapping[str, Any], name: str) -> int:
    return int(row.get(name, {}).get("N", "0"))
