"""`/api/v1/workspaces/{workspace}/groups`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opencode_cloud.contracts.ids import GroupId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.etags import version_of_request
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.workspaces.models import GroupMember, MemberGroup
from opencode_cloud.workspaces.requests import GroupChange, GroupMembersChange, NewGroup

if TYPE_CHECKING:
    from opencode_cloud.workspaces.service import Groups

TAG = "Groups"


class GroupRoutes:
    """Routes of groups."""

    def __init__(self, groups: Groups, gate: Gate) -> None:
        self._groups = groups
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, f"{WORKSPACE}/groups", f"{WORKSPACE}/groups/<group_id>"
        read, manage = Permission.MEMBER_READ, Permission.GROUP_MANAGE
        add(f"GET {all_}", self.list, read, "List groups", TAG)
        add(f"POST {all_}", self.create, manage, "Create a group", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, read, "Read a group", TAG)
        add(f"PATCH {one}", self.change, manage, "Change a group", TAG)
        add(f"DELETE {one}", self.delete, manage, "Delete a group", TAG, HTTPStatus.NO_CONTENT)
        add(f"GET {one}/members", self.members, read, "List the members of a group", TAG)
        add(f"PATCH {one}/members", self.change_members, manage, "Change the members of a group", TAG)

    def list(
        self,
        workspace_id: WorkspaceId,
        member: Annotated[str, Query(max_length=30, description="Only groups of this member, by id.")] = "",
        search: Annotated[str, Query(max_length=100, description="A part of the name.")] = "",
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[MemberGroup]]:
        """List the groups of a workspace."""
        after = decode_id(cursor)
        rows = self._groups.of_workspace(
            workspace_id,
            member_id=MemberId(member) if member else None,
            search=search,
            after=after,
            limit=limit + 1,
        )
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def create(self, workspace_id: WorkspaceId, body: NewGroup) -> Response[MemberGroup]:
        """Create a group without members. Its budgets are budgets with the scope `group` or `each_in_group`."""
        group = self._groups.create(self._gate.actor, workspace_id, body.name, body.models)
        return document(group, HTTPStatus.CREATED, version=group.version)

    def get(self, workspace_id: WorkspaceId, group_id: GroupId) -> Response[MemberGroup]:
        """Read a group. A change must send the header `ETag` as `If-Match`."""
        group = self._groups.get(workspace_id, group_id)
        return document(group, version=group.version)

    def change(self, workspace_id: WorkspaceId, group_id: GroupId, body: GroupChange) -> Response[MemberGroup]:
        """Rename a group, or set the rules for its models. It takes effect within seconds. Needs `If-Match`.

        A member of several groups may use the models that one of their lists allows and none of them denies. The
        workspace's policy and the limits of keys always apply.
        """
        version = version_of_request(self._gate.event)
        group = self._groups.change(self._gate.actor, workspace_id, group_id, version, body)
        return document(group, version=group.version)

    def delete(self, workspace_id: WorkspaceId, group_id: GroupId) -> Response[None]:
        """Delete a group with its budgets and its rules. Its members stay in the workspace. Needs `If-Match`."""
        self._groups.delete(self._gate.actor, workspace_id, group_id, version_of_request(self._gate.event))
        return nothing()

    def members(
        self, workspace_id: WorkspaceId, group_id: GroupId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[GroupMember]]:
        """List the members of a group."""
        after = decode_id(cursor)
        rows = self._groups.members_of(workspace_id, group_id, after, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def change_members(
        self, workspace_id: WorkspaceId, group_id: GroupId, body: GroupMembersChange
    ) -> Response[MemberGroup]:
        """Put members into a group and take others out of it: all, or none. It takes effect within seconds.

        Members who are in the group already, or not in it, stay as they are. Usage of a member stays counted in the
        group in which it was made.
        """
        return document(self._groups.change_members(self._gate.actor, workspace_id, group_id, body.add, body.remove))
