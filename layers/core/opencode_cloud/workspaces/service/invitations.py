"""Invitations: create, resend, withdraw, accept and decline them.

An invitation is answered at most once, and never after it was withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import AccountId, InvitationId, MemberId, WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.mail_secrets import invitation_token
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.derived_secrets import hash_of_token
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.mail_addresses import canonical_address
from opencode_cloud.workspaces.addresses import clean_address
from opencode_cloud.workspaces.models import (
    Invitation,
    InvitationState,
    Workspace,
    already_invited,
    already_member,
    invitation_not_found,
    invitation_settled,
    resent_too_soon,
    too_many_invitations,
)
from opencode_cloud.workspaces.service.rules import locked, member_behind, require_owner_for, require_person

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.permissions import Role
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.workspaces.service.joining import Joining
    from opencode_cloud.workspaces.store import InvitationStore, MemberStore, WorkspaceStore

LIFETIME = timedelta(days=7)
RESEND_AFTER = timedelta(seconds=60)
MOST_OPEN = 500
"""Limit of open invitations of one workspace. Bounds the mail that a workspace can cause."""


class _Letter(msgspec.Struct, frozen=True):
    email: str
    role: Role
    base: str


class Invitations:
    """Rules of invitations. Each change locks the workspace first, so only one of two concurrent answers counts."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        workspaces: WorkspaceStore,
        members: MemberStore,
        invitations: InvitationStore,
        joining: Joining,
        mailer: Mailer,
        deployment_key: Callable[[], str],
        *,
        check_domains: bool = True,
    ) -> None:
        """``check_domains`` asks DNS whether the domain of an invited address accepts mail."""
        self._database = database
        self._outbox = outbox
        self._record = Recorder[Invitation](
            audit, "invitation", lambda invitation: invitation.id, lambda invitation: invitation.email
        )
        self._workspaces = workspaces
        self._members = members
        self._invitations = invitations
        self._joining = joining
        self._mailer = mailer
        self._deployment_key = deployment_key
        self._check_domains = check_domains

    # ------------------------------------------------------------------------------------- for inviters

    def of_workspace(
        self,
        workspace_id: WorkspaceId,
        *,
        state: InvitationState | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Invitation]:
        """Return invitations of a workspace, the newest first, with the delivery states of their last mails."""
        with self._database.transaction() as connection:
            return self._invitations.of_workspace(
                connection, workspace_id, utc_now(), state=state, after=after, limit=limit
            )

    def get(self, workspace_id: WorkspaceId, invitation_id: InvitationId) -> Invitation:
        """Return an invitation of a workspace; raises ``invitation_not_found``."""
        with self._database.transaction() as connection:
            return self._of(connection, workspace_id, invitation_id)

    def invite(self, actor: Actor, workspace_id: WorkspaceId, email: str, role: Role, *, base: str = "") -> Invitation:
        """Invite an address and mail the link; it begins with ``base`` when the deployment has no domain.

        Raises ``invalid_address``, ``owners_only``, ``already_member``, ``already_invited`` or
        ``too_many_invitations``.
        """
        require_owner_for(actor, role)
        email = clean_address(email, check_domain=self._check_domains)
        now = utc_now()
        with self._outbox.unit() as unit:
            workspace = locked(self._workspaces, unit.connection, workspace_id)
            self._refuse_double(unit, actor, workspace_id, canonical_address(email), now)
            if self._invitations.count_open(unit.connection, workspace_id, now) >= MOST_OPEN:
                raise too_many_invitations(MOST_OPEN)
            invitation_id = InvitationId(new_id("inv"))
            row = {
                "id": invitation_id,
                "workspace_id": workspace_id,
                "email": email,
                "role": role,
                "invited_by": actor.name,
                "invited_by_member_id": member_behind(actor),
                "state": InvitationState.PENDING,
                "created_at": now,
                **self._letter(unit, actor, workspace, invitation_id, 1, _Letter(email, role, base)),
            }
            self._invitations.add(unit.connection, row)
            invitation = self._of(unit.connection, workspace_id, invitation_id)
            self._record(unit, actor, "invitation.created", workspace_id, invitation, after={"role": role})
            return invitation

    def resend(
        self, actor: Actor, workspace_id: WorkspaceId, invitation_id: InvitationId, *, base: str = ""
    ) -> Invitation:
        """Mail a new link. The old link becomes invalid, the time to answer restarts, and the actor is its inviter.

        Raises ``invitation_not_found``, ``owners_only``, ``invitation_settled`` or ``resent_too_soon``.
        """
        now = utc_now()
        with self._outbox.unit() as unit:
            workspace = locked(self._workspaces, unit.connection, workspace_id)
            invitation = self._of(unit.connection, workspace_id, invitation_id)
            require_owner_for(actor, invitation.role)
            if invitation.state not in {InvitationState.PENDING, InvitationState.EXPIRED}:
                raise invitation_settled(invitation.state)
            generation, sent_at = self._invitations.generation(unit.connection, invitation_id)
            wait = (sent_at + RESEND_AFTER - now).total_seconds()
            if wait > 0:
                raise resent_too_soon(int(wait) + 1)
            letter = _Letter(invitation.email, invitation.role, base)
            values = self._letter(unit, actor, workspace, invitation_id, generation + 1, letter)
            values |= {"invited_by": actor.name, "invited_by_member_id": member_behind(actor)}
            self._invitations.change(unit.connection, invitation_id, values)
            self._record(unit, actor, "invitation.resent", workspace_id, invitation)
            return self._of(unit.connection, workspace_id, invitation_id)

    def revoke(self, actor: Actor, workspace_id: WorkspaceId, invitation_id: InvitationId) -> None:
        """Withdraw an invitation; raises ``invitation_not_found``, ``owners_only`` or ``invitation_settled``."""
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            invitation = self._of(unit.connection, workspace_id, invitation_id)
            require_owner_for(actor, invitation.role)
            if invitation.state is InvitationState.REVOKED:
                return
            if invitation.state not in {InvitationState.PENDING, InvitationState.EXPIRED}:
                raise invitation_settled(invitation.state)
            self._settle(unit, actor, invitation, InvitationState.REVOKED)

    def withdraw(self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, addresses: Sequence[str]) -> None:
        """Withdraw all open invitations of these canonical addresses in ``unit``.

        The unit must hold the lock of the workspace.
        """
        now = utc_now()
        for address in addresses:
            for invitation in self._invitations.open_of(unit.connection, workspace_id, address, now):
                self._settle(unit, actor, invitation, InvitationState.REVOKED)

    def withdraw_unfounded(
        self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, inviter_id: MemberId
    ) -> None:
        """Withdraw the open invitations that a member sent and may not send any more, in ``unit``.

        The unit must hold the lock of the workspace. Without this they would come back with the member's right.
        """
        for invitation in self._invitations.open_by(unit.connection, workspace_id, inviter_id, utc_now()):
            if invitation.state is InvitationState.REVOKED:
                self._settle(unit, actor, invitation, InvitationState.REVOKED)

    # ------------------------------------------------------------------------------------- for invited people

    def of_account(self, account_id: AccountId) -> Sequence[Invitation]:
        """Return the acceptable invitations to any verified address of a person."""
        with self._database.transaction() as connection:
            addresses = self._members.addresses(connection, account_id)
            return self._invitations.pending_for(connection, addresses, utc_now())

    def pending_for(self, address: str) -> Sequence[Invitation]:
        """Return the acceptable invitations to a verified address in its canonical form."""
        with self._database.transaction() as connection:
            return self._invitations.pending_for(connection, [address], utc_now())

    def by_token(self, token: str) -> Invitation:
        """Return the invitation of a link, in any state; raises ``invitation_not_found``."""
        with self._database.transaction() as connection:
            invitation = self._invitations.by_token(connection, hash_of_token(token), utc_now())
        if invitation is None:
            raise invitation_not_found()
        return invitation

    def to(self, actor: Actor, invitation_id: InvitationId) -> Invitation:
        """Return an invitation to the acting person, in any state; raises ``invitation_not_found``."""
        with self._database.transaction() as connection:
            invitation = self._invitations.get(connection, invitation_id, utc_now())
            if invitation is None or not self._has_address(connection, actor, invitation):
                raise invitation_not_found()
        return invitation

    def is_for(self, actor: Actor, invitation: Invitation) -> bool:
        """Tell whether the acting person has the invited address."""
        with self._database.transaction() as connection:
            return self._has_address(connection, actor, invitation)

    def accept(self, actor: Actor, invitation_id: InvitationId) -> Invitation:
        """Add the acting person as a member. Their verified address must be the invited one.

        A repeated request is answered like the first, as long as the person is a member. Raises
        ``invitation_not_found`` or ``invitation_settled``.
        """
        require_person(actor)
        with self._outbox.unit() as unit:
            invitation = self._locked(unit, actor, invitation_id)
            if self._made_member(unit.connection, actor, invitation):
                return invitation
            _require_pending(invitation)
            self._joining.join(
                unit, actor, invitation.workspace_id, actor.account_id, invitation.email, invitation.role, "invitation"
            )
            self._settle(unit, actor, invitation, InvitationState.ACCEPTED)
            return self._of(unit.connection, invitation.workspace_id, invitation_id)

    def decline(self, actor: Actor, invitation_id: InvitationId) -> None:
        """Decline an invitation to an address of the acting person; raises as :meth:`accept` does."""
        require_person(actor)
        with self._outbox.unit() as unit:
            self._settle(unit, actor, self._open(unit, actor, invitation_id), InvitationState.DECLINED)

    def decline_by_token(self, token: str, actor: Actor) -> Invitation:
        """Decline by the link alone, which proves access to the invited mailbox. Raises as :meth:`accept` does."""
        invitation = self.by_token(token)
        invited = Actor(
            kind=ActorKind.ANONYMOUS,
            name=invitation.email,
            address=actor.address,
            correlation_id=actor.correlation_id,
        )
        with self._outbox.unit() as unit:
            self._settle(unit, invited, self._open(unit, None, invitation.id), InvitationState.DECLINED)
        return invitation

    # ------------------------------------------------------------------------------------- internals

    def _of(self, connection: Connection, workspace_id: WorkspaceId, invitation_id: InvitationId) -> Invitation:
        invitation = self._invitations.get(connection, invitation_id, utc_now())
        if invitation is None or invitation.workspace_id != workspace_id:
            raise invitation_not_found()
        return invitation

    def _open(self, unit: UnitOfWork, actor: Actor | None, invitation_id: InvitationId) -> Invitation:
        """Lock the workspace and return an invitation that can be answered (by ``actor``, when given)."""
        invitation = self._locked(unit, actor, invitation_id)
        _require_pending(invitation)
        return invitation

    def _locked(self, unit: UnitOfWork, actor: Actor | None, invitation_id: InvitationId) -> Invitation:
        """Lock the workspace and return an invitation (to ``actor``, when given)."""
        connection = unit.connection
        invitation = self._invitations.get(connection, invitation_id, utc_now())
        if invitation is None or (actor is not None and not self._has_address(connection, actor, invitation)):
            raise invitation_not_found()
        workspace = self._workspaces.lock(connection, invitation.workspace_id)
        invitation = self._invitations.get(connection, invitation_id, utc_now())  # read again under the lock
        if invitation is None or workspace is None or not workspace.alive:
            raise invitation_not_found()
        return invitation

    def _made_member(self, connection: Connection, actor: Actor, invitation: Invitation) -> bool:
        """Tell whether the acting person has accepted an invitation, and is a member who has not left."""
        if invitation.state is not InvitationState.ACCEPTED:
            return False
        row = self._members.member_row(connection, invitation.workspace_id, actor.account_id)
        return row is not None and not row.removed

    def _has_address(self, connection: Connection, actor: Actor, invitation: Invitation) -> bool:
        addresses = self._members.addresses(connection, actor.account_id)
        return self._invitations.is_to(connection, invitation.id, addresses)

    def _refuse_double(
        self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, address: str, now: datetime
    ) -> None:
        if self._members.by_address(unit.connection, workspace_id, address):
            raise already_member()
        for invitation in self._invitations.open_of(unit.connection, workspace_id, address, now):
            if invitation.state is InvitationState.PENDING:
                raise already_invited()
            # It has expired, or its inviter has lost the right: the new invitation replaces it.
            self._settle(unit, actor, invitation, InvitationState.REVOKED)

    def _letter(
        self,
        unit: UnitOfWork,
        actor: Actor,
        workspace: Workspace,
        invitation_id: InvitationId,
        generation: int,
        letter: _Letter,
    ) -> dict[str, Any]:
        """Queue the mail with the link of ``generation``, and return the columns that make this link the valid one."""
        expires_at = utc_now() + LIFETIME
        variables = {
            "invitation": invitation_id,
            "generation": generation,
            "workspace": workspace.name,
            "inviter": actor.name,
            "role": letter.role,
            "expires": f"{expires_at:%-d %B %Y, %H:%M} UTC",
            "base": letter.base,
        }
        again = generation > 1
        mail = self._mailer.queue(unit, Template.INVITATION, letter.email, variables, workspace.id, again=again)
        token = invitation_token(self._deployment_key(), invitation_id, generation)
        return {
            "generation": generation,
            "token_hash": hash_of_token(token),
            "expires_at": expires_at,
            "mail_id": mail,
        }

    def _settle(self, unit: UnitOfWork, actor: Actor, invitation: Invitation, state: InvitationState) -> None:
        values = {"state": state, "settled_at": utc_now()}
        self._invitations.change(unit.connection, invitation.id, values)
        self._record(
            unit,
            actor,
            f"invitation.{state}",
            invitation.workspace_id,
            invitation,
            before={"state": invitation.state},
        )


def _require_pending(invitation: Invitation) -> None:
    if invitation.state is not InvitationState.PENDING:
        raise invitation_settled(invitation.state)
