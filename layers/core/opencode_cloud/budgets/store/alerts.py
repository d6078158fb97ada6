"""Alerts and webhooks in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, or_, select, update

from opencode_cloud.budgets.models.documents import Alert, Webhook
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.budgets import budget_alerts, budget_webhooks
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.workspaces import members, workspaces
from opencode_cloud.webhooks.models import Hook

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_TOLD_ROLES = ("owner", "admin", "billing")
_ALERT = select(
    budget_alerts.c.id,
    budget_alerts.c.budget_id,
    func.nullif(budget_alerts.c.subject_id, "").label("subject_id"),
    budget_alerts.c.name,
    budget_alerts.c.threshold,
    budget_alerts.c.unit,
    budget_alerts.c.used,
    budget_alerts.c.amount.label("limit"),
    budget_alerts.c.window_start,
    budget_alerts.c.resets_at,
    budget_alerts.c.created_at,
    budget_alerts.c.webhook_at,
)


class AlertStore:
    """The tables ``budget_alerts`` and ``budget_webhooks``."""

    def add_once(self, connection: Connection, row: Mapping[str, Any]) -> bool:
        """Insert an alert; False when it exists. Concurrent inserts of the same alert wait for this transaction."""
        return connection.execute(budget_alerts.insert().prefix_with("IGNORE"), dict(row)).rowcount > 0

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        before: tuple[datetime, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Alert]:
        """Return alerts of a workspace, the newest first."""
        query = _ALERT.where(budget_alerts.c.workspace_id == workspace_id)
        if before is not None:
            at, alert = before
            same = and_(budget_alerts.c.created_at == at, budget_alerts.c.id < alert)
            query = query.where(or_(budget_alerts.c.created_at < at, same))
        ordered = query.order_by(budget_alerts.c.created_at.desc(), budget_alerts.c.id.desc()).limit(limit)
        return [Alert.model_validate(row) for row in connection.execute(ordered)]

    def mark_accepted(self, connection: Connection, alert: str, at: datetime) -> None:
        """Record that the webhook accepted an alert."""
        connection.execute(update(budget_alerts).where(budget_alerts.c.id == alert).values(webhook_at=at))

    def workspace_name(self, connection: Connection, workspace_id: WorkspaceId) -> str | None:
        """Return the name of a workspace; None when it is deleted or blocked."""
        alive = (workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))
        return connection.execute(select(workspaces.c.name).where(workspaces.c.id == workspace_id, *alive)).scalar()

    def recipients(self, connection: Connection, workspace_id: WorkspaceId, subject: str) -> Sequence[str]:
        """Return the addresses to notify: owners, admins, billing, and the person whose budget or key it is."""
        holder = select(keys.c.member_id).where(keys.c.id == subject, keys.c.member_id.is_not(None))
        concerned = or_(members.c.role.in_(_TOLD_ROLES), members.c.id == subject, members.c.id.in_(holder))
        query = (
            select(accounts.c.email)
            .join(members, members.c.account_id == accounts.c.id)
            .where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None), concerned)
            .where(accounts.c.blocked_at.is_(None))
        )
        return list(connection.execute(query.order_by(members.c.id)).scalars())

    # ------------------------------------------------------------------------------------- webhooks

    def hook(self, connection: Connection, workspace_id: WorkspaceId) -> Hook | None:
        """Return the webhook as delivery uses it; None when there is none."""
        query = select(budget_webhooks).where(budget_webhooks.c.workspace_id == workspace_id)
        row = connection.execute(query).first()
        return Hook(row.url, row.generation) if row else None

    def webhook(self, connection: Connection, workspace_id: WorkspaceId) -> Webhook | None:
        """Return the webhook as the API shows it; None when there is none."""
        query = select(budget_webhooks).where(budget_webhooks.c.workspace_id == workspace_id)
        row = connection.execute(query).first()
        return Webhook.model_validate(row) if row else None

    def set_hook(self, connection: Connection, workspace_id: WorkspaceId, values: Mapping[str, Any]) -> None:
        """Insert or update a workspace's webhook."""
        # The caller holds the workspace's lock, so no other transaction can insert the row in between.
        changed = connection.execute(
            update(budget_webhooks).where(budget_webhooks.c.workspace_id == workspace_id).values(dict(values))
        )
        if not changed.rowcount:
            connection.execute(budget_webhooks.insert(), {"workspace_id": workspace_id, **values})

    def remove_hook(self, connection: Connection, workspace_id: WorkspaceId) -> bool:
        """Remove a webhook; False when there is none."""
        gone = connection.execute(delete(budget_webhooks).where(budget_webhooks.c.workspace_id == workspace_id))
        return gone.rowcount > 0
