"""The page of members: who is in, who is invited; inviting, giving roles, removing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console.desk import ROOT, Desk, Visit
from opencode_cloud.console.forms import checked
from opencode_cloud.contracts.ids import InvitationId, MemberId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.http.pages import see
from opencode_cloud.kit.pages import DEFAULT_LIMIT, decode_cursor, page_of
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

    def __init__(self, desk: Desk, members: Members, invitations: Invitations) -> None:
        self._desk = desk
        self._members = members
        self._invitations = invitations

    def mount(self) -> None:
        """Add every page."""
        get, post, one = self._desk.get, self._desk.post, "/members/<member_id>"
        get("/members", self.show, Permission.MEMBER_READ)
        post(f"{one}/role", self.change_role, Permission.MEMBER_UPDATE, self.show)
        get(f"{one}/remove", self.ask_remove, Permission.MEMBER_REMOVE)
        post(f"{one}/remove", self.remove, Permission.MEMBER_REMOVE, self.show)
        invited = "/invitations/<invitation_id>"
        post("/invitations", self.invite, Permission.MEMBER_INVITE, self.show)
        post(f"{invited}/resend", self.resend, Permission.MEMBER_INVITE, self.show)
        post(f"{invited}/revoke", self.revoke, Permission.MEMBER_INVITE, self.show)

    def show(self, visit: Visit, **_ids: str) -> Response[str]:
        """``GET .../members?search=...``: members and, for who may invite, open invitations."""
        place, search = visit.place.id, visit.query("search")[:LONGEST_SEARCH]
        after = decode_cursor(visit.query("cursor"), tuple[str])
        rows = self._members.members_of(
            place, search=search, after=after[0] if after else None, limit=DEFAULT_LIMIT + 1
        )
        owner = visit.actor.role == Role.OWNER
        return self._desk.page(
            visit,
            "members.html",
            members=page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            search=search,
            roles=[role for role in Role if owner or role is not Role.OWNER],
            owner=owner,
            invitations=self._open(visit) if visit.may(Permission.MEMBER_INVITE) else [],
        )

    def invite(self, visit: Visit) -> Response[str]:
        """``POST .../invitations``: mail an address a link."""
        wish = checked(NewInvitation, {"email": visit.form.one("email"), "role": visit.form.one("role")})
        self._invitations.invite(visit.actor, visit.place.id, wish.email, wish.role, base=self._desk.base_url())
        return see(f"{visit.base}/members?done=invited")

    def resend(self, visit: Visit, invitation_id: InvitationId) -> Response[str]:
        """``POST .../invitations/{invitation_id}/resend``: mail a new link."""
        self._invitations.resend(visit.actor, visit.place.id, invitation_id, base=self._desk.base_url())
        return see(f"{visit.base}/members?done=resent")

    def revoke(self, visit: Visit, invitation_id: InvitationId) -> Response[str]:
        """``POST .../invitations/{invitation_id}/revoke``: withdraw it."""
        self._invitations.revoke(visit.actor, visit.place.id, invitation_id)
        return see(f"{visit.base}/members?done=withdrawn")

    def change_role(self, visit: Visit, member_id: MemberId) -> Response[str]:
        """``POST .../members/{member_id}/role``: give another role."""
        wish = checked(MemberChange, {"role": visit.form.one("role")})
        self._members.change_role(visit.actor, visit.place.id, member_id, wish.role)
        return see(f"{visit.base}/members?done=role")

    def ask_remove(self, visit: Visit, member_id: MemberId) -> Response[str]:
        """``GET .../members/{member_id}/remove``: what removing means, and the button that does it."""
        found = self._members.get(visit.place.id, member_id)
        return self._desk.page(visit, "remove_member.html", member=found)

    def remove(self, visit: Visit, member_id: MemberId) -> Response[str]:
        """``POST .../members/{member_id}/remove``."""
        self._members.remove(visit.actor, visit.place.id, member_id)
        return see(ROOT if member_id == visit.actor.id else f"{visit.base}/members?done=removed")

    def _open(self, visit: Visit) -> list[Invitation]:
        """Return invitations that something can still be done about."""
        find = self._invitations.of_workspace
        pending = find(visit.place.id, state=InvitationState.PENDING, limit=SHOWN_INVITATIONS)
        return [*pending, *find(visit.place.id, state=InvitationState.EXPIRED, limit=SHOWN_EXPIRED)]
