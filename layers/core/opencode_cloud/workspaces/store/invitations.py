"""Invitations in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from opencode_cloud.contracts.ids import InvitationId, WorkspaceId
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.workspaces import invitations, workspaces
from opencode_cloud.workspaces.addresses import same_address
from opencode_cloud.workspaces.models import Invitation, InvitationState

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from opencode_cloud.kit.sql import Connection


class InvitationStore:
    """The table ``invitations``, joined with the states of the mails."""

    def add(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Write a new invitation."""
        connection.execute(invitations.insert(), dict(row))

    def change(self, connection: Connection, invitation_id: InvitationId, values: Mapping[str, Any]) -> None:
        """Set columns of an invitation."""
        connection.execute(invitations.update().where(invitations.c.id == invitation_id).values(dict(values)))

    def get(self, connection: Connection, invitation_id: InvitationId, now: datetime) -> Invitation | None:
        """Return an invitation of any workspace."""
        return self._one(connection, invitations.c.id == invitation_id, now)

    def by_token(self, connection: Connection, digest: bytes, now: datetime) -> Invitation | None:
        """Return the invitation whose current link has this hash."""
        return self._one(connection, invitations.c.token_hash == digest, now)

    def generation(self, connection: Connection, invitation_id: InvitationId) -> tuple[int, datetime]:
        """Return the number of mails of an invitation, and the time when the last was queued."""
        row = connection.execute(
            select(invitations.c.generation, func.coalesce(mails.c.created_at, invitations.c.created_at).label("at"))
            .outerjoin(mails, mails.c.id == invitations.c.mail_id)
            .where(invitations.c.id == invitation_id)
        ).one()
        return row.generation, row.at

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        now: datetime,
        *,
        state: InvitationState | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Invitation]:
        """Return invitations of a workspace, the newest first."""
        query = _invitations(now).where(invitations.c.workspace_id == workspace_id)
        if state is not None:
            query = query.where(_state(now) == state)
        if after is not None:
            query = query.where(invitations.c.id < after)
        rows = connection.execute(query.order_by(invitations.c.id.desc()).limit(limit))
        return [Invitation.model_validate(row) for row in rows]

    def open_of(
        self, connection: Connection, workspace_id: WorkspaceId, email: str, now: datetime
    ) -> Sequence[Invitation]:
        """Return the unanswered invitations of an address to a workspace; they may have expired."""
        query = _invitations(now).where(
            invitations.c.workspace_id == workspace_id, invitations.c.email == email, invitations.c.state == "pending"
        )
        return _of_addresses(connection.execute(query), [email])

    def count_open(self, connection: Connection, workspace_id: WorkspaceId, now: datetime) -> int:
        """Count the invitations of a workspace that can be accepted."""
        query = select(func.count()).select_from(invitations).where(invitations.c.workspace_id == workspace_id)
        return connection.execute(query.where(_state(now) == InvitationState.PENDING)).scalar_one()

    def pending_for(self, connection: Connection, emails: Sequence[str], now: datetime) -> Sequence[Invitation]:
        """Return the acceptable invitations to these addresses."""
        query = (
            _invitations(now)
            .where(invitations.c.email.in_(emails), _state(now) == InvitationState.PENDING)
            .where(workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))
        )
        return _of_addresses(connection.execute(query.order_by(invitations.c.id)), emails)

    def _one(self, connection: Connection, wanted: ColumnElement[bool], now: datetime) -> Invitation | None:
        row = connection.execute(_invitations(now).where(wanted)).first()
        return Invitation.model_validate(row) if row else None


def _of_addresses(rows: Any, emails: Sequence[str]) -> Sequence[Invitation]:
    candidates = [Invitation.model_validate(row) for row in rows]
    return [invitation for invitation in candidates if any(same_address(invitation.email, email) for email in emails)]


def _state(now: datetime) -> Any:
    expired = (invitations.c.state == "pending") & (invitations.c.expires_at <= now)
    return case((expired, "expired"), else_=func.concat(invitations.c.state, ""))


def _invitations(now: datetime) -> Any:
    """Select invitations with the columns of :class:`Invitation`."""
    return (
        select(
            invitations.c.id,
            invitations.c.workspace_id,
            workspaces.c.name.label("workspace_name"),
            invitations.c.email,
            invitations.c.role,
            invitations.c.invited_by,
            _state(now).label("state"),
            invitations.c.created_at,
            invitations.c.expires_at,
            invitations.c.settled_at,
            mails.c.state.label("delivery"),
            func.coalesce(mails.c.reason, "").label("delivery_reason"),
        )
        .join(workspaces, workspaces.c.id == invitations.c.workspace_id)
        .outerjoin(mails, mails.c.id == invitations.c.mail_id)
    )
