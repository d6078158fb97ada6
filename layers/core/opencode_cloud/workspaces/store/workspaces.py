"""Workspaces in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.workspaces import members, workspaces
from opencode_cloud.workspaces.models import Membership, Workspace

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class WorkspaceStore:
    """The table ``workspaces``."""

    def add(self, connection: Connection, workspace: Workspace) -> None:
        """Write a new workspace."""
        connection.execute(workspaces.insert(), workspace.model_dump())

    def get(self, connection: Connection, workspace_id: WorkspaceId) -> Workspace | None:
        """Return a workspace, also a blocked or deleted one."""
        row = connection.execute(select(workspaces).where(workspaces.c.id == workspace_id)).first()
        return Workspace.model_validate(row) if row else None

    def lock(self, connection: Connection, workspace_id: WorkspaceId) -> Workspace | None:
        """Lock a workspace's row until the end of the transaction and return it.

        Every change of members begins with this lock. So rules about all members, such as "there is an owner", also
        hold under concurrency.
        """
        row = connection.execute(select(workspaces).where(workspaces.c.id == workspace_id).with_for_update()).first()
        return Workspace.model_validate(row) if row else None

    def change(
        self, connection: Connection, workspace_id: WorkspaceId, values: Mapping[str, Any], at: datetime
    ) -> None:
        """Set columns of a workspace and increase its version."""
        connection.execute(
            workspaces.update()
            .where(workspaces.c.id == workspace_id)
            .values({**values, "version": workspaces.c.version + 1, "updated_at": at})
        )

    def delete(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        """Delete a workspace's row and all rows that belong to it, except the audit trail."""
        connection.execute(mails.delete().where(mails.c.workspace_id == workspace_id))
        connection.execute(workspaces.delete().where(workspaces.c.id == workspace_id))

    def to_purge(self, connection: Connection, now: datetime, limit: int) -> Sequence[WorkspaceId]:
        """Return deleted workspaces whose grace period is over."""
        query = select(workspaces.c.id).where(workspaces.c.purge_after <= now).order_by(workspaces.c.purge_after)
        return connection.execute(query.limit(limit)).scalars().all()

    def memberships(
        self, connection: Connection, account_id: AccountId, after: str | None = None, limit: int | None = None
    ) -> Sequence[Membership]:
        """Return the workspaces of a person by id, deleted ones only to owners, who can restore them."""
        query = (
            select(
                workspaces.c.id,
                workspaces.c.name,
                members.c.role,
                members.c.id.label("member_id"),
                workspaces.c.version,
                workspaces.c.created_at,
                workspaces.c.blocked_at,
                workspaces.c.deleted_at,
                workspaces.c.purge_after,
            )
            .join(members, members.c.workspace_id == workspaces.c.id)
            .where(members.c.account_id == account_id, members.c.removed_at.is_(None))
            .where(or_(workspaces.c.deleted_at.is_(None), members.c.role == "owner"))
            .order_by(workspaces.c.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(workspaces.c.id > after)
        return [Membership.model_validate(row) for row in connection.execute(query)]

    def owned_by(self, connection: Connection, account_id: AccountId) -> int:
        """Count the workspaces that a person owns and that are not deleted."""
        query = (
            select(func.count())
            .select_from(members.join(workspaces, members.c.workspace_id == workspaces.c.id))
            .where(members.c.account_id == account_id, members.c.removed_at.is_(None), members.c.role == "owner")
            .where(workspaces.c.deleted_at.is_(None))
        )
        return connection.execute(query).scalar_one()
