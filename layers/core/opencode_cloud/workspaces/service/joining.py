"""Create memberships: all ways of joining a workspace use this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import AccountId, MemberId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.contracts.permissions import Role
    from opencode_cloud.outbox.service import UnitOfWork
    from opencode_cloud.workspaces.store import MemberStore


class Joining:
    """Makes people members. The unit must hold the lock of the workspace."""

    def __init__(self, members: MemberStore, audit: AuditTrail) -> None:
        self._members = members
        self._audit = audit

    def join(
        self,
        unit: UnitOfWork,
        actor: Actor,
        workspace_id: WorkspaceId,
        account_id: AccountId,
        email: str,
        role: Role,
        by: str,
    ) -> MemberId:
        """Add a person as a member and return the member's id. A former member gets their row back.

        A present member keeps their role, since it may have been changed after the invitation.
        ``by`` names the way of joining: ``founding``, ``invitation``, ``domain`` or ``operator``.
        """
        row = self._members.member_row(unit.connection, workspace_id, account_id)
        if row and not row.removed:
            return row.id
        now = utc_now()
        member_id = row.id if row else MemberId(new_id("mem"))
        if row:
            self._members.change(unit.connection, member_id, {"role": role, "removed_at": None, "created_at": now}, now)
        else:
            self._members.add(unit.connection, member_id, workspace_id, account_id, role, now)
        unit.emit(Topic.MEMBER, member_id, {"workspace": workspace_id, "account": account_id})
        self._audit.record(
            unit.connection,
            actor,
            "member.joined",
            Target("member", member_id, email),
            workspace_id=workspace_id,
            after={"role": role, "by": by},
        )
        return member_id
