"""The page of members and invitations: list, invite, change roles, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ROOT, ConsoleApp, PageRequest
from opencode_cloud.console.forms import checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import InvitationId, MemberId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.http.pages import see
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, page_of
from opencode_cloud.workspaces.models import InvitationState
from opencode_cloud.workspaces.requests import MemberChange, NewInvitation

if TYPE_CHECKING:
    from opencode_cloud.workspaces.models import Invitation
    from opencode_cloud.workspaces.service import Invitations, Members

SHOWN_INVITATIONS = 100
SHOWN_EXPIRED = 20
LONGEST_SEARCH = 100


class MemberPages:
    """Pages of members and invitations."""

    PAGE: ClassVar[ConsolePage] = menu.MEMBERS

    def __init__(self, app: ConsoleApp, members: Members, invitations: Invitations) -> None:
        self._app = app
        self._members = members
        self._invitations = invitations

    def mount(self) -> None:
        """Add every page."""
        routes, one = self._app.add(self.PAGE, self.show), "/members/<member_id>"
        get, post = routes.get, routes.post
        post(f"{one}/role", self.change_role, Permission.MEMBER_UPDATE, self.show)
        get(f"{one}/remove", self.ask_remove, Permission.MEMBER_REMOVE)
        post(f"{one}/remove", self.remove, Permission.MEMBER_REMOVE, self.show)
        invited = "/invitations/<invitation_id>"
        post("/invitations", self.invite, Permission.MEMBER_INVITE, self.show)
        post(f"{invited}/resend", self.resend, Permission.MEMBER_INVITE, self.show)
        post(f"{invited}/revoke", self.revoke, Permission.MEMBER_INVITE, self.show)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../members?search=...``: members; also open invitations if the actor may invite."""
        workspace_id, search = request.workspace.id, request.query("search")[:LONGEST_SEARCH]
        after = decode_cursor(request.query("cursor"), tuple[str])
        rows = self._members.members_of(
            workspace_id, search=search, after=after[0] if after else None, limit=DEFAULT_LIMIT + 1
        )
        owner = request.actor.role == Role.OWNER
        return self._app.page(
            request,
            members=page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            search=search,
            roles=[role for role in Role if owner or role is not Role.OWNER],
            owner=owner,
            invitations=self._open(request) if request.may(Permission.MEMBER_INVITE) else [],
        )

    def invite(self, request: PageRequest) -> Response[str]:
        """``POST .../invitations``: mail an invitation."""
        invitation = checked(NewInvitation, {"email": request.form.one("email"), "role": request.form.one("role")})
        self._invitations.invite(
            request.actor, request.workspace.id, invitation.email, invitation.role, base=self._app.base_url()
        )
        return see(f"{request.base}/members?done=invited")

    def resend(self, request: PageRequest, invitation_id: InvitationId) -> Response[str]:
        """``POST .../invitations/{invitation_id}/resend``: mail a new link."""
        self._invitations.resend(request.actor, request.workspace.id, invitation_id, base=self._app.base_url())
        return see(f"{request.base}/members?done=resent")

    def revoke(self, request: PageRequest, invitation_id: InvitationId) -> Response[str]:
        """``POST .../invitations/{invitation_id}/revoke``: withdraw it."""
        self._invitations.revoke(request.actor, request.workspace.id, invitation_id)
        return see(f"{request.base}/members?done=withdrawn")

    def change_role(self, request: PageRequest, member_id: MemberId) -> Response[str]:
        """``POST .../members/{member_id}/role``: change the role."""
        change = checked(MemberChange, {"role": request.form.one("role")})
        self._members.change_role(request.actor, request.workspace.id, member_id, change.role)
        return see(f"{request.base}/members?done=role")

    def ask_remove(self, request: PageRequest, member_id: MemberId) -> Response[str]:
        """``GET .../members/{member_id}/remove``: explain the effect of removing and ask for confirmation."""
        member = self._members.get(request.workspace.id, member_id)
        return self._app.page(request, "remove_member.html", member=member)

    def remove(self, request: PageRequest, member_id: MemberId) -> Response[str]:
        """``POST .../members/{member_id}/remove``."""
        self._members.remove(request.actor, request.workspace.id, member_id)
        return see(ROOT if member_id == request.actor.id else f"{request.base}/members?done=removed")

    def _open(self, request: PageRequest) -> list[Invitation]:
        """Return the invitations that can still be sent again or withdrawn."""
        find = self._invitations.of_workspace
        pending = find(request.workspace.id, state=InvitationState.PENDING, limit=SHOWN_INVITATIONS)
        return [*pending, *find(request.workspace.id, state=InvitationState.EXPIRED, limit=SHOWN_EXPIRED)]
