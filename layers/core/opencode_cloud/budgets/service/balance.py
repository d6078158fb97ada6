"""The prepaid balance: a budget whose limit is the sum of all grants. It cannot be set directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.budgets.models.documents import BalanceGrant, grant_differs, invalid_grant
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import workspace_not_found
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.budgets import (
    LARGEST_LIMIT,
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    CreditEnd,
    KnownBudget,
)
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox, UnitOfWork


@dataclass(frozen=True, slots=True)
class BalanceBudget:
    """The budget that is a workspace's balance."""

    id: BudgetId
    limit: int
    """All that was ever credited, in micro-cents."""
    ends: tuple[CreditEnd, ...] = ()
    """Parts of the limit that end, also those whose end has come and is not booked yet."""

    @property
    def counter(self) -> str:
        """Return the key of the counter in DynamoDB."""
        budget = KnownBudget(
            id=self.id, scope=BudgetScope.BALANCE, unit=BudgetUnit.COST, period=BudgetPeriod.TOTAL, limit=self.limit
        )
        return counter(budget, 0).key


class Balance:
    """Rules of grants. A workspace without grants has no balance, and so no balance limits its calls."""

    def __init__(self, database: Database, outbox: Outbox, audit: AuditTrail, store: BudgetStore) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._store = store

    def grants(
        self, workspace_id: WorkspaceId, before: str | None = None, limit: int | None = None
    ) -> Sequence[BalanceGrant]:
        """Return grants, the newest first."""
        with self._database.transaction() as connection:
            return self._store.grants(connection, workspace_id, before, limit)

    def grant(self, actor: Actor, workspace_id: WorkspaceId, amount: int, reason: str, key: str) -> BalanceGrant:
        """Add ``amount`` micro-cents to the balance, once for each idempotency ``key``. A negative amount reduces it.

        Raises ``workspace_not_found``, ``invalid_grant``, or ``grant_differs`` when the key came with another amount.
        """
        if not amount:
            raise invalid_grant("the amount is zero")
        with self._outbox.unit() as unit:
            self._store.lock(unit.connection, workspace_id)
            if not self._store.workspace_exists(unit.connection, workspace_id):
                raise workspace_not_found()
            # Read under the lock, so that a concurrent grant with the same key is found here.
            earlier = self._store.grant(unit.connection, workspace_id, key)
            if earlier is not None:
                # The same key with another amount is a mistake, not a retry.
                if earlier.amount != amount:
                    raise grant_differs()
                return earlier
            return self._add(unit, actor, workspace_id, amount, reason, key)

    def _add(
        self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, amount: int, reason: str, key: str
    ) -> BalanceGrant:
        grant = BalanceGrant(
            id=new_id("grn"), amount=amount, reason=reason, granted_by=actor.name, created_at=utc_now()
        )
        row = {**grant.model_dump(), "workspace_id": workspace_id, "idempotency_key": key}
        self._store.add_grant(unit.connection, row)
        before, after = self._raise(unit, actor, workspace_id, amount)
        unit.emit(Topic.BUDGETS, workspace_id)
        self._audit.record(
            unit.connection,
            actor,
            "balance.granted",
            Target("grant", grant.id, money.shown(amount)),
            workspace_id=workspace_id,
            before={"balance": before},
            after={"balance": after, "reason": reason},
        )
        return grant

    def balances(
        self, connection: Connection, workspace_ids: Sequence[WorkspaceId]
    ) -> Mapping[WorkspaceId, BalanceBudget]:
        """Return the balances of workspaces; those without one are missing."""
        found = self._store.balances(connection, workspace_ids)
        return {workspace_id: BalanceBudget(*found) for workspace_id, found in found.items()}

    def set_limit(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, limit: int, ends: Sequence[CreditEnd], by: str
    ) -> None:
        """Set the balance of a workspace to ``limit`` micro-cents, of which ``ends`` end, as its ledger says.

        The gateway knows within seconds. A deleted workspace is left alone. The caller's transaction must lock the
        workspace's accounts in the ledger.
        """
        balance = self._store.balance(unit.connection, workspace_id)
        if balance is not None:
            values = {"amount": limit, "ends": _as_column(ends)}
            self._store.change(unit.connection, balance.id, values, utc_now())
        elif self._store.workspace_exists(unit.connection, workspace_id):
            self._create(unit, workspace_id, limit, by, ends)
        else:
            return
        unit.emit(Topic.BUDGETS, workspace_id)

    def _raise(self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, amount: int) -> tuple[int, int]:
        """Set the budget to the sum of the grants; return its limit before and after."""
        balance, now = self._store.balance(unit.connection, workspace_id), utc_now()
        before = balance.limit if balance else 0
        after = before + amount
        if not 0 <= after <= LARGEST_LIMIT:
            raise invalid_grant(f"all grants together would be {money.shown(after)}")
        if balance is not None:
            self._store.change(unit.connection, balance.id, {"amount": after}, now)
            return before, after
        self._create(unit, workspace_id, after, actor.name)
        return before, after

    def _create(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, limit: int, by: str, ends: Sequence[CreditEnd] = ()
    ) -> None:
        now = utc_now()
        row = {"scope": BudgetScope.BALANCE, "unit": BudgetUnit.COST, "period": BudgetPeriod.TOTAL, "amount": limit}
        dated = {"created_by": by, "created_at": now, "updated_at": now}
        own = {"id": new_id("bud"), "workspace_id": workspace_id, "ends": _as_column(ends)}
        self._store.add(unit.connection, {**own, **row, **dated})


def _as_column(ends: Sequence[CreditEnd]) -> list[dict[str, int]] | None:
    return [{"at": each.at, "amount": each.amount} for each in ends] or None
