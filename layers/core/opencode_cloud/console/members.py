"""The page of members and invitations: list, invite many, change roles, remove."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ROOT, ConsoleApp, PageRequest
from opencode_cloud.console.forms import Form, InvalidForm, checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.console.ranges import month_of
from opencode_cloud.contracts.ids import InvitationId, MemberId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict, ServiceError
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import ngettext
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_id, page_of
from opencode_cloud.usage.models import Dimension, Selection
from opencode_cloud.workspaces.addresses import clean_address
from opencode_cloud.workspaces.models import InvitationState, Member
from opencode_cloud.workspaces.requests import MemberChange, NewInvitation

if TYPE_CHECKING:
    from opencode_cloud.usage.service import UsageReader
    from opencode_cloud.workspaces.models import Invitation
    from opencode_cloud.workspaces.service import Invitations, Members

SHOWN_INVITATIONS = 100
SHOWN_EXPIRED = 20
LONGEST_SEARCH = 100
MOST_INVITED = 50
"""The most addresses of one form."""
MOST_SPENDERS = 2000
"""The most members whose cost is read."""
ROLE_OF = "role:"
"""The prefix of the fields with members' roles; the id of the member follows."""
SHOWN_OF = "shown:"
"""The prefix of the fields with the roles that the page showed; the id of the member follows."""
RAISED = frozenset({Role.OWNER, Role.ADMIN})
"""Roles that are given only after a second look."""
_SEPARATORS = re.compile(r"[\s,;]+")


class RoleChange(msgspec.Struct, frozen=True):
    """The new role of a member."""

    member: Member
    role: Role


class MemberPages:
    """Pages of members and invitations."""

    PAGE: ClassVar[ConsolePage] = menu.MEMBERS

    def __init__(self, app: ConsoleApp, members: Members, invitations: Invitations, usage: UsageReader) -> None:
        self._app = app
        self._usage = usage
        self._members = members
        self._invitations = invitations

    def mount(self) -> None:
        """Add every page."""
        routes, one = self._app.add(self.PAGE, self.show), "/members/<member_id>"
        get, post = routes.get, routes.post
        post("/members", self.change_roles, Permission.MEMBER_UPDATE, self.show)
        get(f"{one}/remove", self.ask_remove, Permission.MEMBER_REMOVE)
        post(f"{one}/remove", self.remove, Permission.MEMBER_REMOVE, self.show)
        invited = "/invitations/<invitation_id>"
        post("/invitations", self.invite, Permission.MEMBER_INVITE, self.show)
        post(f"{invited}/resend", self.resend, Permission.MEMBER_INVITE, self.show)
        post(f"{invited}/revoke", self.revoke, Permission.MEMBER_INVITE, self.show)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../members?search=...``: members; also open invitations if the actor may invite."""
        workspace_id, search = request.workspace.id, request.query("search")[:LONGEST_SEARCH]
        after = decode_id(request.query("cursor"))
        rows = self._members.members_of(workspace_id, search=search, after=after, limit=DEFAULT_LIMIT + 1)
        owner = request.actor.role == Role.OWNER
        return self._app.page(
            request,
            members=page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            search=search,
            roles=[role for role in Role if owner or role is not Role.OWNER],
            owner=owner,
            chosen=dict(_chosen(request.form)) if request.failed else {},
            spent=self._spent(request, rows),
            invitations=self._open(request) if request.may(Permission.MEMBER_INVITE) else [],
        )

    def invite(self, request: PageRequest) -> Response[str]:
        """``POST .../invitations``: mail an invitation to each address. No mail is sent if one is malformed."""
        form, faults = request.form, list[DocumentFault]()
        addresses = list(dict.fromkeys(filter(None, _SEPARATORS.split(form.one("email")))))
        if not addresses:
            faults.append(DocumentFault(path="/email", message=gettext_noop("Write at least one e-mail address")))
        if len(addresses) > MOST_INVITED:
            faults.append(
                DocumentFault(path="/email", message=_("Write at most %(most)s addresses", most=MOST_INVITED))
            )
        wanted = [self._wanted(address, form.one("role"), faults) for address in addresses[: MOST_INVITED + 1]]
        if faults:
            raise InvalidForm(faults)
        refused: dict[str, ServiceError] = {}
        for invitation in filter(None, wanted):
            try:
                self._invitations.invite(
                    request.actor, request.workspace.id, invitation.email, invitation.role, base=self._app.base_url()
                )
            except ServiceError as error:
                refused[invitation.email] = error
        if refused:
            return self._partly_invited(request, len(wanted) - len(refused), refused)
        return see(f"{request.base}/members?done={'invited' if len(wanted) == 1 else 'allinvited'}")

    def resend(self, request: PageRequest, invitation_id: InvitationId) -> Response[str]:
        """``POST .../invitations/{invitation_id}/resend``: mail a new link."""
        self._invitations.resend(request.actor, request.workspace.id, invitation_id, base=self._app.base_url())
        return see(f"{request.base}/members?done=resent")

    def revoke(self, request: PageRequest, invitation_id: InvitationId) -> Response[str]:
        """``POST .../invitations/{invitation_id}/revoke``: withdraw it."""
        self._invitations.revoke(request.actor, request.workspace.id, invitation_id)
        return see(f"{request.base}/members?done=withdrawn")

    def change_roles(self, request: PageRequest) -> Response[str]:
        """``POST .../members``: set the changed roles of all shown members; ask first before one gets more rights."""
        changes = self._changes(request)
        raised = [each for each in changes if each.role in RAISED]
        if raised and not request.form.one("confirmed"):
            return self._app.page(request, "confirm_roles.html", changes=changes)
        for each in changes:
            self._members.change_role(request.actor, request.workspace.id, each.member.id, each.role)
        return see(f"{request.base}/members?done={'roles' if changes else 'same'}")

    def _changes(self, request: PageRequest) -> list[RoleChange]:
        """Return the roles that the person changed. The form has the roles of all shown members.

        Raises ``stale_roles`` (409) if somebody else has changed one of these members since the form was shown.
        """
        changes: list[RoleChange] = []
        for member_id, chosen in _chosen(request.form):
            role = checked(MemberChange, {"role": chosen}).role
            member = self._members.get(request.workspace.id, member_id)
            shown = request.form.one(f"{SHOWN_OF}{member_id}")
            if shown and member.role not in {shown, role}:
                raise Conflict(
                    "stale_roles",
                    "Nothing was changed: somebody else has changed a role since you opened the page. The roles below "
                    "are the present ones, but for those that you chose. Check them, and save again.",
                )
            if member.role != role:
                changes.append(RoleChange(member, role))
        return changes

    def _wanted(self, address: str, role: str, faults: list[DocumentFault]) -> NewInvitation | None:
        try:
            clean_address(address, check_domain=False)
            return checked(NewInvitation, {"email": address, "role": role})
        except InvalidForm as error:
            faults += error.faults
        except ServiceError:
            words = _("%(address)s is no e-mail address", address=address[:LONGEST_SEARCH])
            faults.append(DocumentFault(path="/email", message=words))
        return None

    def _partly_invited(self, request: PageRequest, sent: int, refused: Mapping[str, ServiceError]) -> Response[str]:
        """Show the addresses that were not invited, each with the reason, in the form again."""
        fields = {**request.form.fields, "email": ("\n".join(refused),)}
        faults = [
            DocumentFault(path="/email", message=f"{each}: {_(error.message)}") for each, error in refused.items()
        ]
        status = next(iter(refused.values())).status
        words = ngettext(
            "%(num)s invitation sent. These addresses were not invited.",
            "%(num)s invitations sent. These addresses were not invited.",
            sent,
        )
        return self.show(
            msgspec.structs.replace(request, form=Form(fields), words=words, status=status, faults=faults, listed=True)
        )

    def ask_remove(self, request: PageRequest, member_id: MemberId) -> Response[str]:
        """``GET .../members/{member_id}/remove``: explain the effect of removing and ask for confirmation."""
        member = self._members.get(request.workspace.id, member_id)
        return self._app.page(request, "remove_member.html", member=member)

    def remove(self, request: PageRequest, member_id: MemberId) -> Response[str]:
        """``POST .../members/{member_id}/remove``."""
        self._members.remove(request.actor, request.workspace.id, member_id)
        return see(ROOT if member_id == request.actor.id else f"{request.base}/members?done=removed")

    def _spent(self, request: PageRequest, members: Sequence[Member]) -> Mapping[MemberId, str]:
        """Return what the calls of each member cost this month; nothing without ``usage:read``."""
        if not request.may(Permission.USAGE_READ) or not members:
            return {}
        month = month_of(utc_now())
        selection = Selection(since=month.since, until=month.until)
        lines = self._usage.groups(
            request.actor, request.workspace.id, selection, Dimension.MEMBER, None, MOST_SPENDERS
        )
        costs = {line.group: line.sums.cost for line in lines}
        return {member.id: money.shown(costs.get(member.id, 0)) for member in members}

    def _open(self, request: PageRequest) -> list[Invitation]:
        """Return the invitations that can still be sent again or withdrawn."""
        find = self._invitations.of_workspace
        pending = find(request.workspace.id, state=InvitationState.PENDING, limit=SHOWN_INVITATIONS)
        return [*pending, *find(request.workspace.id, state=InvitationState.EXPIRED, limit=SHOWN_EXPIRED)]


def _chosen(form: Form) -> Iterator[tuple[MemberId, str]]:
    """Yield the members to whom a form gives another role than the page showed, each with that role."""
    for name in form.fields:
        if name.startswith(ROLE_OF):
            member_id, role = name.removeprefix(ROLE_OF), form.one(name)
            if role != form.one(f"{SHOWN_OF}{member_id}"):
                yield MemberId(member_id), role
