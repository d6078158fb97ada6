"""Orders of refunds in MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, update

from opencode_cloud.contracts.ids import PaymentId, RefundOrderId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models.refunds import RefundOrder, RefundState
from opencode_cloud.schema.payments import payment_refunds

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_column = payment_refunds.c
PAYING = (RefundState.ORDERED, RefundState.PENDING, RefundState.SUCCEEDED)
"""States in which money goes back, or has gone."""


class RefundStore:
    """The table ``payment_refunds``."""

    def add(self, connection: Connection, order: RefundOrder) -> None:
        """Write an order."""
        connection.execute(payment_refunds.insert(), msgspec.structs.asdict(order))

    def get(self, connection: Connection, order_id: RefundOrderId, *, lock: bool = False) -> RefundOrder | None:
        """Return an order, locked on demand; None if there is none."""
        query = select(payment_refunds).where(_column.id == order_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _order(row) if row else None

    def of_key(self, connection: Connection, payment_id: PaymentId, key: str) -> RefundOrder | None:
        """Return the order of a payment with an idempotency key; None if there is none."""
        query = select(payment_refunds).where(_column.payment_id == payment_id, _column.idempotency_key == key)
        row = connection.execute(query).mappings().first()
        return _order(row) if row else None

    def ordered(self, connection: Connection, payment_id: PaymentId) -> int:
        """Return the sum of a payment's orders that the ledger has not booked yet, in micro-cents."""
        total = select(func.coalesce(func.sum(_column.amount), 0))
        query = total.where(_column.payment_id == payment_id, _column.state == RefundState.ORDERED)
        return int(connection.execute(query).scalar_one())

    def alone(self, connection: Connection, workspace_id: WorkspaceId, name: str, since: datetime) -> int:
        """Return the sum that one operator ordered of a workspace since a time, without another one, in micro-cents."""
        total = select(func.coalesce(func.sum(_column.amount), 0))
        query = total.where(_column.workspace_id == workspace_id, _column.created_at > since)
        query = query.where(_column.requested_by == name, _column.decided_by == "", _column.state.in_(PAYING))
        return int(connection.execute(query).scalar_one())

    def change(self, connection: Connection, order_id: RefundOrderId, **values: Any) -> None:
        """Set fields of an order."""
        changed = update(payment_refunds).where(_column.id == order_id).values(**values, updated_at=utc_now())
        connection.execute(changed)

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[RefundOrder]:
        """Return orders of a workspace, the newest first, from those before a time and id."""
        query = select(payment_refunds).where(_column.workspace_id == workspace_id)
        if before:
            at, own_id = before
            query = query.where((_column.created_at < at) | ((_column.created_at == at) & (_column.id < own_id)))
        query = query.order_by(_column.created_at.desc(), _column.id.desc()).limit(limit)
        return [_order(row) for row in connection.execute(query).mappings()]

    def in_state(self, connection: Connection, state: RefundState, before: datetime, limit: int) -> list[RefundOrder]:
        """Return orders in a state that have not changed since a time, the oldest first."""
        query = select(payment_refunds).where(_column.state == state, _column.updated_at <= before)
        found = connection.execute(query.order_by(_column.updated_at).limit(limit)).mappings()
        return [_order(row) for row in found]


def _order(row: Mapping[Any, Any]) -> RefundOrder:
    values: dict[str, Any] = {name: row[name] for name in RefundOrder.__struct_fields__}
    return msgspec.convert(values, RefundOrder)
