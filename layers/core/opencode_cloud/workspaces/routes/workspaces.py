"""`/api/v1/workspaces`: workspaces themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from opencode_cloud.contracts.ids import MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import ACCOUNT, WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.etags import version_of_request
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.workspaces.models import Membership, Workspace
from opencode_cloud.workspaces.requests import LongName, WorkspaceChange

if TYPE_CHECKING:
    from opencode_cloud.workspaces.service import Members, Workspaces

TAG = "Workspaces"


class NewWorkspace(BaseModel):
    """A workspace to create."""

    name: LongName


class Transfer(BaseModel):
    """The member who becomes the owner of a workspace."""

    member_id: MemberId = Field(max_length=30, description="The member who becomes an owner in your place.")


class WorkspaceRoutes:
    """Routes of workspaces themselves."""

    def __init__(self, workspaces: Workspaces, members: Members, gate: Gate) -> None:
        self._workspaces = workspaces
        self._members = members
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, root, one = self._gate.add, "/api/v1/workspaces", WORKSPACE
        add(f"GET {root}", self.list, ACCOUNT, "List your workspaces", TAG)
        add(f"POST {root}", self.create, ACCOUNT, "Create a workspace", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, Permission.WORKSPACE_READ, "Read a workspace", TAG)
        add(f"PATCH {one}", self.change, Permission.WORKSPACE_UPDATE, "Change a workspace", TAG)
        add(f"DELETE {one}", self.delete, Permission.WORKSPACE_DELETE, "Delete a workspace", TAG)
        add(f"POST {one}/restore", self.restore, ACCOUNT, "Restore a deleted workspace", TAG)
        transfer = Permission.WORKSPACE_TRANSFER
        add(f"POST {one}/transfer", self.transfer, transfer, "Make another member the owner", TAG)
        leave = Permission.WORKSPACE_READ
        add(f"POST {one}/leave", self.leave, leave, "Leave a workspace", TAG, HTTPStatus.NO_CONTENT)

    def list(self, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response[Page[Membership]]:
        """List the workspaces of which you are a member. Deleted ones are listed for owners, who can restore them."""
        after = decode_id(cursor)
        rows = self._workspaces.memberships(self._gate.actor.account_id, after, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def create(self, body: NewWorkspace) -> Response[Workspace]:
        """Create a workspace. You become its owner."""
        workspace = self._workspaces.create(self._gate.actor, body.name)
        return document(workspace, HTTPStatus.CREATED, version=workspace.version)

    def get(self, workspace_id: WorkspaceId) -> Response[Workspace]:
        """Read a workspace. A change must send the header `ETag` of the answer as `If-Match`."""
        workspace = self._workspaces.get(workspace_id)
        return document(workspace, version=workspace.version)

    def change(self, workspace_id: WorkspaceId, body: WorkspaceChange) -> Response[Workspace]:
        """Rename a workspace, or set how long its audit trail is kept. Needs `If-Match`."""
        version = version_of_request(self._gate.event)
        values = body.model_dump(exclude_none=True)
        changed = self._workspaces.change(self._gate.actor, workspace_id, version, values)
        return document(changed, version=changed.version)

    def delete(self, workspace_id: WorkspaceId) -> Response[Workspace]:
        """Delete a workspace. It is closed at once, and restorable until `purge_after`. Needs `If-Match`."""
        version = version_of_request(self._gate.event)
        deleted = self._workspaces.delete(self._gate.actor, workspace_id, version)
        return document(deleted, version=deleted.version)

    def restore(self, workspace_id: WorkspaceId) -> Response[Workspace]:
        """Restore a workspace that you own and that was deleted, until its `purge_after`."""
        restored = self._workspaces.restore(self._gate.actor, workspace_id)
        return document(restored, version=restored.version)

    def transfer(self, workspace_id: WorkspaceId, body: Transfer) -> Response[Workspace]:
        """Make another member an owner in your place; you become an admin."""
        workspace = self._workspaces.transfer(self._gate.actor, workspace_id, body.member_id)
        return document(workspace, version=workspace.version)

    def leave(self, workspace_id: WorkspaceId) -> Response[None]:
        """Leave a workspace. Your keys in it end. The last owner cannot leave."""
        self._members.leave(self._gate.actor, workspace_id)
        return nothing()
