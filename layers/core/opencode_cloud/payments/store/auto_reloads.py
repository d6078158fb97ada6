"""Automatic reloads in MySQL.

The row of a workspace is locked after its accounts and its top-ups, and never before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models import AutoReload, ReloadState, ReloadTerms, TopUpKind, TopUpState
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.payments import auto_reloads, payment_customers, top_ups
from opencode_cloud.schema.workspaces import members

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_ON_ITS_WAY = (TopUpState.OPEN, TopUpState.PENDING, TopUpState.PAID)
_TERMS = ReloadTerms.__struct_fields__


class AutoReloadStore:
    """The table ``auto_reloads``."""

    def get(self, connection: Connection, workspace_id: WorkspaceId, *, lock: bool = False) -> AutoReload | None:
        """Return the reloads of a workspace, locked on demand; None if they were never set."""
        query = select(auto_reloads).where(auto_reloads.c.workspace_id == workspace_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _reload(row) if row else None

    def set_terms(
        self, connection: Connection, workspace_id: WorkspaceId, terms: ReloadTerms, base_url: str, by: str
    ) -> None:
        """Write the choice of a workspace. A running charge stays as it is."""
        now = utc_now()
        changed = {**msgspec.structs.asdict(terms), "base_url": base_url, "updated_by": by, "updated_at": now}
        row = {**changed, "workspace_id": workspace_id, "state": ReloadState.IDLE, "state_at": now}
        connection.execute(insert(auto_reloads).on_duplicate_key_update(changed), row)

    def move(self, connection: Connection, workspace_id: WorkspaceId, state: ReloadState, **values: Any) -> None:
        """Set the state and fields of a row, which must be locked."""
        now = utc_now()
        changed = {"state": state, "state_at": now, "updated_at": now, **values}
        connection.execute(update(auto_reloads).where(auto_reloads.c.workspace_id == workspace_id).values(changed))

    def keep(self, connection: Connection, workspace_id: WorkspaceId, **values: Any) -> None:
        """Set fields of a row, and leave its state."""
        connection.execute(update(auto_reloads).where(auto_reloads.c.workspace_id == workspace_id).values(values))

    def crossed(self, connection: Connection, available: Mapping[WorkspaceId, int]) -> list[WorkspaceId]:
        """Take the lease of each workspace whose balance is below its threshold; return these.

        A workspace whose charge runs, waits or has stopped is left out.
        """
        column = auto_reloads.c
        idle = select(column.workspace_id, column.threshold).where(
            column.workspace_id.in_(sorted(available)), column.enabled, column.state == ReloadState.IDLE
        )
        below = [row.workspace_id for row in connection.execute(idle) if available[row.workspace_id] < row.threshold]
        return [each for each in sorted(below) if self._take(connection, each)]

    def _take(self, connection: Connection, workspace_id: WorkspaceId) -> bool:
        column, now = auto_reloads.c, utc_now()
        taken = (
            update(auto_reloads)
            .where(column.workspace_id == workspace_id, column.enabled, column.state == ReloadState.IDLE)
            .values(state=ReloadState.CHARGING, state_at=now, updated_at=now, next_at=now, top_up_id="", reason="")
        )
        return bool(connection.execute(taken).rowcount)

    def due(self, connection: Connection, now: datetime, limit: int) -> list[AutoReload]:
        """Return reloads whose next attempt is due, and those that stopped until a time that has come."""
        query = select(auto_reloads).where(
            auto_reloads.c.state.in_((ReloadState.CHARGING, ReloadState.STOPPED)), auto_reloads.c.next_at <= now
        )
        return self._found(connection, query.order_by(auto_reloads.c.next_at), limit)

    def waiting(self, connection: Connection, since: datetime, limit: int) -> list[AutoReload]:
        """Return reloads that have waited for a person since before a time."""
        column = auto_reloads.c
        query = select(auto_reloads).where(column.state == ReloadState.ACTION_REQUIRED, column.state_at < since)
        return self._found(connection, query.order_by(column.state_at), limit)

    def idle(self, connection: Connection, after: str, limit: int) -> list[AutoReload]:
        """Return reloads that are on and idle, by workspace, after one."""
        column = auto_reloads.c
        query = select(auto_reloads).where(
            column.enabled, column.state == ReloadState.IDLE, column.workspace_id > after
        )
        return self._found(connection, query.order_by(column.workspace_id), limit)

    def _found(self, connection: Connection, query: Any, limit: int) -> list[AutoReload]:
        return [_reload(row) for row in connection.execute(query.limit(limit)).mappings()]

    # ------------------------------------------------------------------------------------- what else decides

    def on_its_way(self, connection: Connection, workspace_id: WorkspaceId) -> int:
        """Return the credit of checkouts that are paid and not booked yet, such as bank debits."""
        column = top_ups.c
        query = select(func.coalesce(func.sum(column.credit), 0)).where(
            column.workspace_id == workspace_id, column.kind == TopUpKind.CHECKOUT, column.state == TopUpState.PENDING
        )
        return int(connection.execute(query).scalar_one())

    def reloaded(self, connection: Connection, workspace_id: WorkspaceId, since: datetime) -> tuple[int, int]:
        """Return credit and number of the reloads since a time, without those that failed."""
        column = top_ups.c
        query = select(func.coalesce(func.sum(column.credit), 0), func.count()).where(
            column.workspace_id == workspace_id,
            column.kind == TopUpKind.RELOAD,
            column.state.in_(_ON_ITS_WAY),
            column.created_at >= since,
        )
        credit, number = connection.execute(query).one()
        return int(credit), int(number)

    def workspace_of(self, connection: Connection, customer_id: str) -> WorkspaceId | None:
        """Return the workspace of a customer; None for one that is not ours."""
        query = select(payment_customers.c.workspace_id).where(payment_customers.c.customer_id == customer_id)
        return connection.execute(query).scalar()

    def payers(self, connection: Connection, workspace_id: WorkspaceId) -> Sequence[str]:
        """Return the addresses of the people who may pay: owners and billing managers."""
        query = (
            select(accounts.c.email)
            .join(members, members.c.account_id == accounts.c.id)
            .where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
            .where(members.c.role.in_((Role.OWNER, Role.BILLING)), accounts.c.blocked_at.is_(None))
        )
        return list(connection.execute(query.order_by(members.c.id)).scalars())


def _reload(row: Mapping[Any, Any]) -> AutoReload:
    terms = {name: row[name] for name in _TERMS}
    own = {name: row[name] for name in AutoReload.__struct_fields__ if name != "terms"}
    return msgspec.convert({**own, "terms": terms}, AutoReload)
