"""`/api/v1/workspaces/{workspace}/members`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opencode_cloud.contracts.ids import MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.etags import tag_of_request
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.workspaces.models import Member
from opencode_cloud.workspaces.requests import MemberChange

if TYPE_CHECKING:
    from opencode_cloud.workspaces.service import Members

TAG = "Members"


class MemberRoutes:
    """Routes of members."""

    def __init__(self, members: Members, gate: Gate) -> None:
        self._members = members
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, f"{WORKSPACE}/members", f"{WORKSPACE}/members/<member_id>"
        add(f"GET {all_}", self.list, Permission.MEMBER_READ, "List members", TAG)
        add(f"GET {one}", self.get, Permission.MEMBER_READ, "Read a member", TAG)
        add(f"PATCH {one}", self.change, Permission.MEMBER_UPDATE, "Give a member another role", TAG)
        remove = Permission.MEMBER_REMOVE
        add(f"DELETE {one}", self.remove, remove, "Remove a member", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self,
        workspace_id: WorkspaceId,
        role: Annotated[Role | None, Query(description="Only members with this role.")] = None,
        search: Annotated[str, Query(max_length=100, description="A part of name or address.")] = "",
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[Member]]:
        """List the members of a workspace."""
        after = decode_id(cursor)
        rows = self._members.members_of(workspace_id, role=role, search=search, after=after, limit=limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def get(self, workspace_id: WorkspaceId, member_id: MemberId) -> Response[Member]:
        """Read a member."""
        member = self._members.get(workspace_id, member_id)
        return document(member, tag=member.tag)

    def change(self, workspace_id: WorkspaceId, member_id: MemberId, body: MemberChange) -> Response[Member]:
        """Give a member another role. Only owners appoint and demote owners. The last owner stays an owner."""
        read = tag_of_request(self._gate.event)
        member = self._members.change_role(self._gate.actor, workspace_id, member_id, body.role, read)
        return document(member, tag=member.tag)

    def remove(self, workspace_id: WorkspaceId, member_id: MemberId) -> Response[None]:
        """Remove a member. Their keys end, and their sessions and devices lose the workspace, within seconds."""
        self._members.remove(self._gate.actor, workspace_id, member_id, tag_of_request(self._gate.event))
        return nothing()
