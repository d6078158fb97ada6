"""Members: list them, change their roles, remove them, let them leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.contracts.access import member_not_found
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import MemberId, WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.etags import check_tag
from opencode_cloud.workspaces.models import Member, Workspace, last_owner
from opencode_cloud.workspaces.service.rules import locked, require_owner_for, require_person

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.service import BudgetSubjects
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.keys.service import Keys
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.workspaces.service.invitations import Invitations
    from opencode_cloud.workspaces.store import GroupStore, MemberStore, WorkspaceStore


class Members:
    """Rules of membership: a workspace always has an owner, and only owners change or remove owners."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        workspaces: WorkspaceStore,
        members: MemberStore,
        invitations: Invitations,
        keys: Keys,
        mailer: Mailer,
        budgets: BudgetSubjects,
        groups: GroupStore,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._workspaces = workspaces
        self._members = members
        self._invitations = invitations
        self._keys = keys
        self._mailer = mailer
        self._budgets = budgets
        self._groups = groups

    def members_of(
        self,
        workspace_id: WorkspaceId,
        *,
        role: Role | None = None,
        search: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Member]:
        """Return members of a workspace by id, optionally of one role or with a text in name or address."""
        with self._database.transaction() as connection:
            return self._members.of_workspace(
                connection, workspace_id, role=role, search=search, after=after, limit=limit
            )

    def get(self, workspace_id: WorkspaceId, member_id: MemberId) -> Member:
        """Return a member; raises ``member_not_found``."""
        with self._database.transaction() as connection:
            member = self._members.get(connection, workspace_id, member_id)
        if member is None:
            raise member_not_found()
        return member

    def change_role(
        self, actor: Actor, workspace_id: WorkspaceId, member_id: MemberId, role: Role, read: str | None = None
    ) -> Member:
        """Give a member another role. ``read`` is the tag of the member that the caller has read; None: any.

        Raises ``member_not_found``, ``owners_only``, ``stale_version`` or ``last_owner``.
        """
        with self._outbox.unit() as unit:
            member = self._locked_member(unit, workspace_id, member_id)[1]
            require_owner_for(actor, member.role, role)
            check_tag(read, member.tag)
            if role is member.role:
                return member
            self._keep_an_owner(unit, workspace_id, member)
            self._members.change(unit.connection, member_id, {"role": role}, utc_now())
            unit.emit(Topic.MEMBER, member_id, {"workspace": workspace_id, "account": member.account_id})
            self._audit.record(
                unit.connection,
                actor,
                "member.updated",
                Target("member", member_id, member.email),
                workspace_id=workspace_id,
                before={"role": member.role},
                after={"role": role},
            )
            self._invitations.withdraw_unfounded(unit, actor, workspace_id, member_id)
            changed = self._members.get(unit.connection, workspace_id, member_id)
        return changed or member

    def remove(self, actor: Actor, workspace_id: WorkspaceId, member_id: MemberId, read: str | None = None) -> None:
        """Remove a member and revoke their keys. Their sessions and devices lose the workspace.

        ``read`` is the tag of the member that the caller has read; None: any. Raises ``member_not_found``,
        ``owners_only``, ``stale_version`` or ``last_owner``.
        """
        with self._outbox.unit() as unit:
            workspace, member = self._locked_member(unit, workspace_id, member_id)
            if member_id != actor.id:
                require_owner_for(actor, member.role)
            check_tag(read, member.tag)
            self._take_out(unit, actor, workspace, member, "member.removed")
            if member_id != actor.id:
                variables = {"workspace": workspace.name, "remover": actor.name}
                self._mailer.queue(unit, Template.MEMBER_REMOVED, member.email, variables, workspace_id)

    def leave(self, actor: Actor, workspace_id: WorkspaceId) -> None:
        """Remove the acting person from a workspace; raises ``last_owner``, or ``person_required`` for keys."""
        require_person(actor)
        with self._outbox.unit() as unit:
            workspace, member = self._locked_member(unit, workspace_id, MemberId(actor.id))
            self._take_out(unit, actor, workspace, member, "member.left")

    def _locked_member(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, member_id: MemberId
    ) -> tuple[Workspace, Member]:
        workspace = locked(self._workspaces, unit.connection, workspace_id)
        member = self._members.get(unit.connection, workspace_id, member_id)
        if member is None:
            raise member_not_found()
        return workspace, member

    def _keep_an_owner(self, unit: UnitOfWork, workspace_id: WorkspaceId, member: Member) -> None:
        """Raise ``last_owner`` when this member is the only owner of the workspace."""
        if member.role is Role.OWNER and not self._members.owners_besides(unit.connection, workspace_id, member.id):
            raise last_owner()

    def _take_out(self, unit: UnitOfWork, actor: Actor, workspace: Workspace, member: Member, action: str) -> None:
        self._keep_an_owner(unit, workspace.id, member)
        now = utc_now()
        self._members.change(unit.connection, member.id, {"removed_at": now}, now)
        unit.emit(Topic.MEMBER, member.id, {"workspace": workspace.id, "account": member.account_id})
        keys = self._keys.revoke_of_member(unit, workspace.id, member.id)
        self._budgets.forget(unit, [member.id])
        # A member who returns begins without groups.
        self._groups.leave_all(unit.connection, member.id)
        # A removed person must not be able to return by an older invitation.
        addresses = self._members.addresses(unit.connection, member.account_id)
        self._invitations.withdraw(unit, actor, workspace.id, addresses)
        self._invitations.withdraw_unfounded(unit, actor, workspace.id, member.id)
        self._audit.record(
            unit.connection,
            actor,
            action,
            Target("member", member.id, member.email),
            workspace_id=workspace.id,
            before={"role": member.role},
            after={"revoked_keys": keys},
        )
