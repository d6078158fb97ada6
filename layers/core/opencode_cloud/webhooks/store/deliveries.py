"""Deliveries to webhooks in MySQL."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.timestamps import rfc3339
from opencode_cloud.schema.budgets import budget_webhooks
from opencode_cloud.schema.webhooks import webhook_deliveries
from opencode_cloud.schema.workspaces import workspaces
from opencode_cloud.webhooks.models import DeliveryState, Hook, StoredDelivery, WebhookDelivery

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_column = webhook_deliveries.c


class DeliveryStore:
    """The table ``webhook_deliveries``, and the addresses of webhooks."""

    def hook(self, connection: Connection, workspace_id: WorkspaceId) -> Hook | None:
        """Return the webhook of a workspace; None when there is none."""
        query = select(budget_webhooks).where(budget_webhooks.c.workspace_id == workspace_id)
        row = connection.execute(query).first()
        return Hook(row.url, row.generation) if row else None

    def workspace_name(self, connection: Connection, workspace_id: WorkspaceId) -> str | None:
        """Return the name of a workspace; None when it is deleted or blocked."""
        alive = (workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))
        return connection.execute(select(workspaces.c.name).where(workspaces.c.id == workspace_id, *alive)).scalar()

    def add_once(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        message_id: str,
        kind: str,
        body: bytes,
        at: datetime,
    ) -> bool:
        """Write a delivery whose first attempt is due; False when it exists."""
        row: dict[str, Any] = {
            "id": message_id,
            "workspace_id": workspace_id,
            "type": kind,
            "body": body,
            "state": DeliveryState.PENDING,
            "attempts": [],
            "next_at": at,
            "created_at": at,
        }
        return connection.execute(webhook_deliveries.insert().prefix_with("IGNORE"), row).rowcount > 0

    def get(self, connection: Connection, message_id: str) -> StoredDelivery | None:
        """Return a delivery; None if there is none, or not any more."""
        row = connection.execute(select(webhook_deliveries).where(_column.id == message_id)).first()
        if row is None:
            return None
        return StoredDelivery(row.id, row.workspace_id, row.body, DeliveryState(row.state), len(row.attempts))

    def add_attempt(self, connection: Connection, message_id: str, at: datetime, status: int | None) -> int:
        """Log an attempt, and return the number of all."""
        query = select(_column.attempts).where(_column.id == message_id).with_for_update()
        attempts: list[Any] = [*(connection.execute(query).scalar() or ()), {"at": rfc3339(at), "status": status}]
        self._change(connection, message_id, attempts=attempts)
        return len(attempts)

    def wait(self, connection: Connection, message_id: str, until: datetime) -> None:
        """Set when the next attempt is due."""
        self._change(connection, message_id, next_at=until)

    def end(self, connection: Connection, message_id: str, state: DeliveryState) -> None:
        """End a delivery."""
        self._change(connection, message_id, state=state, next_at=None)

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[WebhookDelivery]:
        """Return deliveries of a workspace, the newest first, from those before a time and id."""
        query = select(webhook_deliveries).where(_column.workspace_id == workspace_id)
        if before:
            at, own_id = before
            query = query.where((_column.created_at < at) | ((_column.created_at == at) & (_column.id < own_id)))
        found = connection.execute(query.order_by(_column.created_at.desc(), _column.id.desc()).limit(limit))
        return [WebhookDelivery.model_validate(row) for row in found]

    def purge(self, connection: Connection, before: datetime) -> int:
        """Delete deliveries from before a time; return their number."""
        return connection.execute(delete(webhook_deliveries).where(_column.created_at < before)).rowcount

    def _change(self, connection: Connection, message_id: str, **values: Any) -> None:
        connection.execute(update(webhook_deliveries).where(_column.id == message_id).values(values))
