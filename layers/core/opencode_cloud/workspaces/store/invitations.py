"""Invitations in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, or_, select

from opencode_cloud.contracts.ids import InvitationId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import GRANTS, Permission, Role
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.workspaces import invitations, members, workspaces
from opencode_cloud.workspaces.models import Invitation, InvitationState

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from opencode_cloud.kit.sql import Connection

_inviters = members.alias("inviters")
_JOINED = invitations.outerjoin(_inviters, _inviters.c.id == invitations.c.invited_by_member_id).outerjoin(
    accounts, accounts.c.id == _inviters.c.account_id
)
_INVITING = [role for role in Role if Permission.MEMBER_INVITE in GRANTS[role]]
_MAY_STILL_INVITE = or_(
    invitations.c.invited_by_member_id.is_(None),  # an operator
    and_(
        _inviters.c.removed_at.is_(None),
        accounts.c.blocked_at.is_(None),
        _inviters.c.role.in_(_INVITING),
        or_(invitations.c.role != Role.OWNER, _inviters.c.role == Role.OWNER),
    ),
)
"""An invitation stands on its inviter: a member who may invite people with this role."""


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
        self, connection: Connection, workspace_id: WorkspaceId, address: str, now: datetime
    ) -> Sequence[Invitation]:
        """Return the unanswered invitations of a canonical address to a workspace; they may have expired."""
        return self._unanswered(connection, workspace_id, invitations.c.address == address, now)

    def open_by(
        self, connection: Connection, workspace_id: WorkspaceId, inviter_id: MemberId, now: datetime
    ) -> Sequence[Invitation]:
        """Return the unanswered invitations by a member; they may have expired."""
        return self._unanswered(connection, workspace_id, invitations.c.invited_by_member_id == inviter_id, now)

    def is_to(self, connection: Connection, invitation_id: InvitationId, addresses: Sequence[str]) -> bool:
        """Tell whether an invitation is to one of these canonical addresses."""
        query = select(invitations.c.id).where(invitations.c.id == invitation_id, invitations.c.address.in_(addresses))
        return connection.execute(query).first() is not None

    def count_open(self, connection: Connection, workspace_id: WorkspaceId, now: datetime) -> int:
        """Count the invitations of a workspace that can be accepted."""
        query = select(func.count()).select_from(_JOINED).where(invitations.c.workspace_id == workspace_id)
        return connection.execute(query.where(_state(now) == InvitationState.PENDING)).scalar_one()

    def pending_for(self, connection: Connection, addresses: Sequence[str], now: datetime) -> Sequence[Invitation]:
        """Return the acceptable invitations to these canonical addresses."""
        query = (
            _invitations(now)
            .where(invitations.c.address.in_(addresses), _state(now) == InvitationState.PENDING)
            .where(workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))
        )
        rows = connection.execute(query.order_by(invitations.c.id))
        return [Invitation.model_validate(row) for row in rows]

    def _unanswered(
        self, connection: Connection, workspace_id: WorkspaceId, wanted: ColumnElement[bool], now: datetime
    ) -> Sequence[Invitation]:
        query = _invitations(now).where(invitations.c.workspace_id == workspace_id, wanted)
        rows = connection.execute(query.where(invitations.c.state == InvitationState.PENDING))
        return [Invitation.model_validate(row) for row in rows]

    def _one(self, connection: Connection, wanted: ColumnElement[bool], now: datetime) -> Invitation | None:
        row = connection.execute(_invitations(now).where(wanted)).first()
        return Invitation.model_validate(row) if row else None


def _state(now: datetime) -> Any:
    """Return the state at ``now``: the inviter's right is looked up here, at each use, and not only when it changes."""
    answered = invitations.c.state != InvitationState.PENDING
    return case(
        (answered, func.concat(invitations.c.state, "")),
        (invitations.c.expires_at <= now, InvitationState.EXPIRED),
        (_MAY_STILL_INVITE, InvitationState.PENDING),
        else_=InvitationState.REVOKED,
    )


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
        .select_from(_JOINED)
        .join(workspaces, workspaces.c.id == invitations.c.workspace_id)
        .outerjoin(mails, mails.c.id == invitations.c.mail_id)
    )
