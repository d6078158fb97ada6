"""`/api/v1/workspaces/{workspace}/invitations`, and `/api/v1/invitations` for invited people."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opencode_cloud.contracts.ids import InvitationId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import ACCOUNT, WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.workspaces.models import Invitation, InvitationState, OwnInvitation
from opencode_cloud.workspaces.requests import NewInvitation

if TYPE_CHECKING:
    from opencode_cloud.workspaces.service import Invitations

TAG = "Invitations"


class InvitationRoutes:
    """Routes of invitations."""

    def __init__(self, invitations: Invitations, gate: Gate) -> None:
        self._invitations = invitations
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, f"{WORKSPACE}/invitations", f"{WORKSPACE}/invitations/<invitation_id>"
        invite = Permission.MEMBER_INVITE  # reading needs it too: open invitations name people who are not members yet
        add(f"GET {all_}", self.list, invite, "List invitations", TAG)
        add(f"POST {all_}", self.invite, invite, "Invite somebody", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, invite, "Read an invitation", TAG)
        add(f"POST {one}/resend", self.resend, invite, "Send an invitation again", TAG)
        add(f"DELETE {one}", self.revoke, invite, "Withdraw an invitation", TAG, HTTPStatus.NO_CONTENT)
        mine, own = "/api/v1/invitations", "/api/v1/invitations/<invitation_id>"
        add(f"GET {mine}", self.mine, ACCOUNT, "List the invitations to you", TAG)
        add(f"POST {own}/accept", self.accept, ACCOUNT, "Accept an invitation", TAG)
        add(f"POST {own}/decline", self.decline, ACCOUNT, "Decline an invitation", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self,
        workspace_id: WorkspaceId,
        state: Annotated[InvitationState | None, Query(description="Only invitations in this state.")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[Invitation]]:
        """List a workspace's invitations, the newest first, each with the delivery state of its last mail."""
        after = decode_id(cursor)
        rows = self._invitations.of_workspace(workspace_id, state=state, after=after, limit=limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def invite(self, workspace_id: WorkspaceId, body: NewInvitation) -> Response[Invitation]:
        """Invite an address by mail. The link in the mail is valid for seven days."""
        invitation = self._invitations.invite(self._gate.actor, workspace_id, body.email, body.role, base=self._base())
        return document(invitation, HTTPStatus.CREATED)

    def get(self, workspace_id: WorkspaceId, invitation_id: InvitationId) -> Response[Invitation]:
        """Read an invitation."""
        return document(self._invitations.get(workspace_id, invitation_id))

    def resend(self, workspace_id: WorkspaceId, invitation_id: InvitationId) -> Response[Invitation]:
        """Mail a new link. The old link ends, and seven new days begin. At most once a minute."""
        return document(self._invitations.resend(self._gate.actor, workspace_id, invitation_id, base=self._base()))

    def revoke(self, workspace_id: WorkspaceId, invitation_id: InvitationId) -> Response[None]:
        """Withdraw an invitation. Its link ends at once."""
        self._invitations.revoke(self._gate.actor, workspace_id, invitation_id)
        return nothing()

    def mine(self) -> Response[Page[OwnInvitation]]:
        """List the open invitations to any of your verified addresses."""
        invitations = self._invitations.of_account(self._gate.actor.account_id)
        return document(
            Page(data=[OwnInvitation.model_validate(invitation) for invitation in invitations], next_cursor=None)
        )

    def accept(self, invitation_id: InvitationId) -> Response[OwnInvitation]:
        """Accept an invitation to one of your verified addresses: you become a member."""
        accepted = self._invitations.accept(self._gate.actor, invitation_id)
        return document(OwnInvitation.model_validate(accepted))

    def decline(self, invitation_id: InvitationId) -> Response[None]:
        """Decline an invitation to one of your verified addresses."""
        self._invitations.decline(self._gate.actor, invitation_id)
        return nothing()

    def _base(self) -> str:
        """Return the deployment's address as the inviter's client used it."""
        return http_events.base_url(self._gate.event, "")
