"""Service accounts in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opencode_cloud.contracts.ids import MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.schema.workspaces import members, service_accounts
from opencode_cloud.workspaces.models import ServiceAccount

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_creators = members.alias("creators")
_ACCOUNT = select(service_accounts, _creators.c.removed_at.is_not(None).label("creator_left")).outerjoin(
    _creators, _creators.c.id == service_accounts.c.created_by_member_id
)


class ServiceAccountStore:
    """The table ``service_accounts``."""

    def add(
        self,
        connection: Connection,
        account: ServiceAccount,
        workspace_id: WorkspaceId,
        created_by_member_id: MemberId | None,
    ) -> None:
        """Write a new service account of a workspace."""
        row = account.model_dump(exclude={"creator_left"})
        row |= {"workspace_id": workspace_id, "created_by_member_id": created_by_member_id}
        connection.execute(service_accounts.insert(), row)

    def change(
        self, connection: Connection, service_account_id: ServiceAccountId, values: Mapping[str, Any], at: datetime
    ) -> None:
        """Set columns of a service account."""
        connection.execute(
            service_accounts.update()
            .where(service_accounts.c.id == service_account_id)
            .values({**values, "updated_at": at})
        )

    def get(
        self, connection: Connection, workspace_id: WorkspaceId, service_account_id: ServiceAccountId
    ) -> ServiceAccount | None:
        """Return a service account of a workspace that is not deleted."""
        query = _ACCOUNT.where(
            service_accounts.c.id == service_account_id,
            service_accounts.c.workspace_id == workspace_id,
            service_accounts.c.deleted_at.is_(None),
        )
        row = connection.execute(query).first()
        return ServiceAccount.model_validate(row) if row else None

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, after: str | None = None, limit: int | None = None
    ) -> Sequence[ServiceAccount]:
        """Return service accounts of a workspace by id."""
        query = _ACCOUNT.where(service_accounts.c.workspace_id == workspace_id, service_accounts.c.deleted_at.is_(None))
        if after is not None:
            query = query.where(service_accounts.c.id > after)
        rows = connection.execute(query.order_by(service_accounts.c.id).limit(limit))
        return [ServiceAccount.model_validate(row) for row in rows]

    def all_ids(self, connection: Connection, workspace_id: WorkspaceId) -> Sequence[ServiceAccountId]:
        """Return the ids of all service accounts that a workspace has or had."""
        query = select(service_accounts.c.id).where(service_accounts.c.workspace_id == workspace_id)
        return connection.execute(query).scalars().all()
