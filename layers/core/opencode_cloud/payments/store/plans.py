"""Plans, their invoices and seats in MySQL.

The row of a plan is locked before its invoices, and these before the accounts of the workspace.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import AccountId, PlanId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models.plans import PlanInvoice, PlanState, SeatPlan
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.payments import plan_invoices, plans
from opencode_cloud.schema.workspaces import members, workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_plan, _invoice = plans.c, plan_invoices.c


class PlanStore:
    """The tables ``plans`` and ``plan_invoices``."""

    def add(self, connection: Connection, plan: SeatPlan) -> bool:
        """Write a plan; return False if the workspace has one that has not ended."""
        row = {**msgspec.structs.asdict(plan), "live": True}
        return bool(connection.execute(plans.insert().prefix_with("IGNORE"), row).rowcount)

    def get(self, connection: Connection, plan_id: PlanId, *, lock: bool = False) -> SeatPlan | None:
        """Return a plan, locked on demand; None if there is none."""
        return self._one(connection, select(plans).where(_plan.id == plan_id), lock=lock)

    def live(self, connection: Connection, workspace_id: WorkspaceId, *, lock: bool = False) -> SeatPlan | None:
        """Return the plan of a workspace that has not ended, locked on demand; None without one."""
        query = select(plans).where(_plan.workspace_id == workspace_id, _plan.live.is_(True))
        return self._one(connection, query, lock=lock)

    def latest(self, connection: Connection, workspace_id: WorkspaceId) -> SeatPlan | None:
        """Return the plan of a workspace that began last; None without one."""
        query = select(plans).where(_plan.workspace_id == workspace_id)
        return self._one(connection, query.order_by(_plan.created_at.desc(), _plan.id.desc()).limit(1))

    def live_among(self, connection: Connection, workspace_ids: Collection[WorkspaceId]) -> list[WorkspaceId]:
        """Return those of some workspaces that have a plan that has not ended."""
        query = select(_plan.workspace_id).where(_plan.workspace_id.in_(workspace_ids), _plan.live.is_(True))
        return list(connection.execute(query.order_by(_plan.workspace_id)).scalars())

    def live_with(self, connection: Connection, account_ids: Collection[AccountId]) -> list[WorkspaceId]:
        """Return the workspaces of some people that have a plan that has not ended."""
        joined = plans.join(members, members.c.workspace_id == _plan.workspace_id)
        query = select(_plan.workspace_id).distinct().select_from(joined).where(_plan.live.is_(True))
        query = query.where(members.c.account_id.in_(account_ids), members.c.removed_at.is_(None))
        return list(connection.execute(query.order_by(_plan.workspace_id)).scalars())

    def all_live(self, connection: Connection, after: str, limit: int) -> list[SeatPlan]:
        """Return plans that have not ended, by id, after one."""
        query = select(plans).where(_plan.live.is_(True), _plan.id > after).order_by(_plan.id).limit(limit)
        return [_to_plan(row) for row in connection.execute(query).mappings()]

    def version_of(self, connection: Connection, subscription_id: str) -> int:
        """Return the version of the plan of a subscription; 0 for an unknown one."""
        query = select(_plan.version).where(_plan.subscription_id == subscription_id)
        return int(connection.execute(query).scalar() or 0)

    def change(self, connection: Connection, plan_id: PlanId, **values: Any) -> None:
        """Set fields of a plan."""
        if "state" in values:
            values["live"] = None if values["state"] is PlanState.ENDED else True
        changed = update(plans).where(_plan.id == plan_id).values(**values, updated_at=utc_now())
        connection.execute(changed)

    def _one(self, connection: Connection, query: Any, *, lock: bool = False) -> SeatPlan | None:
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _to_plan(row) if row else None

    # ------------------------------------------------------------------------------------- invoices

    def invoice(self, connection: Connection, invoice_id: str) -> PlanInvoice | None:
        """Return an invoice; None if it was never written."""
        row = connection.execute(select(plan_invoices).where(_invoice.id == invoice_id)).mappings().first()
        return _to_invoice(row) if row else None

    def keep_invoice(self, connection: Connection, invoice: PlanInvoice) -> None:
        """Write an invoice as it is now. The row of its plan must be locked."""
        row = msgspec.structs.asdict(invoice)
        changed = {name: value for name, value in row.items() if name not in ("id", "created_at")}
        connection.execute(insert(plan_invoices).on_duplicate_key_update(changed), row)

    def invoices(
        self, connection: Connection, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[PlanInvoice]:
        """Return invoices of a workspace, the newest first, from those before a time and id."""
        query = select(plan_invoices).where(_invoice.workspace_id == workspace_id)
        if before:
            at, own_id = before
            query = query.where((_invoice.created_at < at) | ((_invoice.created_at == at) & (_invoice.id < own_id)))
        query = query.order_by(_invoice.created_at.desc(), _invoice.id.desc()).limit(limit)
        return [_to_invoice(row) for row in connection.execute(query).mappings()]

    def unpaid(self, connection: Connection, plan_id: PlanId) -> PlanInvoice | None:
        """Return the oldest open invoice of a plan; None without one."""
        query = select(plan_invoices).where(_invoice.plan_id == plan_id, _invoice.status == "open")
        row = connection.execute(query.order_by(_invoice.created_at).limit(1)).mappings().first()
        return _to_invoice(row) if row else None

    # ------------------------------------------------------------------------------------- members

    def members(self, connection: Connection, workspace_id: WorkspaceId, roles: Sequence[Role]) -> int:
        """Return the number of members with one of some roles, who may sign in."""
        query = (
            select(func.count())
            .select_from(members.join(accounts, accounts.c.id == members.c.account_id))
            .where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
            .where(members.c.role.in_(roles), accounts.c.blocked_at.is_(None))
        )
        return int(connection.execute(query).scalar_one())

    def workspace_name(self, connection: Connection, workspace_id: WorkspaceId) -> str | None:
        """Return the name of a workspace; None if it was deleted."""
        column = workspaces.c
        query = select(column.name).where(column.id == workspace_id, column.deleted_at.is_(None))
        return connection.execute(query).scalar()


def _to_plan(row: Mapping[Any, Any]) -> SeatPlan:
    values: dict[str, Any] = {name: row[name] for name in SeatPlan.__struct_fields__}
    return msgspec.convert(values, SeatPlan)


def _to_invoice(row: Mapping[Any, Any]) -> PlanInvoice:
    values: dict[str, Any] = {name: row[name] for name in PlanInvoice.__struct_fields__}
    return msgspec.convert(values, PlanInvoice)
