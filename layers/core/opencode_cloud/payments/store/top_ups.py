"""Top-ups and customers in MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, update

from opencode_cloud.contracts.ids import TopUpId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models import TopUp, TopUpKind, TopUpState
from opencode_cloud.schema.payments import payment_customers, top_ups
from opencode_cloud.schema.workspaces import workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class TopUpStore:
    """The tables ``top_ups`` and ``payment_customers``."""

    def add(self, connection: Connection, top_up: TopUp) -> None:
        """Write a top-up."""
        connection.execute(top_ups.insert(), msgspec.structs.asdict(top_up))

    def get(self, connection: Connection, top_up_id: TopUpId, *, lock: bool = False) -> TopUp | None:
        """Return a top-up, locked on demand; None if there is none."""
        query = select(top_ups).where(top_ups.c.id == top_up_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _top_up(row) if row else None

    def change(self, connection: Connection, top_up_id: TopUpId, **values: Any) -> None:
        """Set fields of a top-up."""
        changed = update(top_ups).where(top_ups.c.id == top_up_id).values(**values, updated_at=utc_now())
        connection.execute(changed)

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[TopUp]:
        """Return top-ups of a workspace, the newest first, from those before a time and id."""
        query = select(top_ups).where(top_ups.c.workspace_id == workspace_id)
        if before:
            at, own_id = before
            earlier = (top_ups.c.created_at < at) | ((top_ups.c.created_at == at) & (top_ups.c.id < own_id))
            query = query.where(earlier)
        query = query.order_by(top_ups.c.created_at.desc(), top_ups.c.id.desc()).limit(limit)
        return [_top_up(row) for row in connection.execute(query).mappings()]

    def unfinished(self, connection: Connection, before: datetime, limit: int) -> list[TopUp]:
        """Return top-ups that are neither paid nor over and were made before a time, the oldest first.

        A reload without a checkout is left out: its row in ``auto_reloads`` leads to it.
        """
        states = [TopUpState.OPEN, TopUpState.PENDING]
        by_a_person = (top_ups.c.kind == TopUpKind.CHECKOUT) | (top_ups.c.session_id != "")
        query = select(top_ups).where(top_ups.c.state.in_(states), top_ups.c.created_at < before, by_a_person)
        found = connection.execute(query.order_by(top_ups.c.created_at).limit(limit)).mappings()
        return [_top_up(row) for row in found]

    def customer(self, connection: Connection, workspace_id: WorkspaceId) -> str:
        """Return the customer of a workspace; empty without one."""
        query = select(payment_customers.c.customer_id).where(payment_customers.c.workspace_id == workspace_id)
        return str(connection.execute(query).scalar() or "")

    def workspace_name(self, connection: Connection, workspace_id: WorkspaceId) -> str:
        """Return the name of a workspace."""
        query = select(workspaces.c.name).where(workspaces.c.id == workspace_id)
        return str(connection.execute(query).scalar_one())

    def add_customer(self, connection: Connection, workspace_id: WorkspaceId, customer_id: str) -> None:
        """Write the customer of a workspace. The first one stays."""
        row = {"workspace_id": workspace_id, "customer_id": customer_id, "created_at": utc_now()}
        connection.execute(payment_customers.insert().prefix_with("IGNORE"), row)


def _top_up(row: Mapping[Any, Any]) -> TopUp:
    values: dict[str, Any] = {name: row[name] for name in TopUp.__struct_fields__}
    return msgspec.convert(values, TopUp)
