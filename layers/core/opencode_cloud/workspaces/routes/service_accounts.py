"""`/api/v1/workspaces/{workspace}/service-accounts`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.contracts.ids import ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.workspaces.models import ServiceAccount
from opencode_cloud.workspaces.requests import NewServiceAccount, ServiceAccountChange

if TYPE_CHECKING:
    from opencode_cloud.workspaces.service import ServiceAccounts

TAG = "Service accounts"
ALL = f"{WORKSPACE}/service-accounts"


class ServiceAccountRoutes:
    """Routes of service accounts."""

    def __init__(self, accounts: ServiceAccounts, gate: Gate) -> None:
        self._accounts = accounts
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, ALL, f"{ALL}/<service_account_id>"
        read, manage = Permission.SERVICE_ACCOUNT_READ, Permission.SERVICE_ACCOUNT_MANAGE
        add(f"GET {all_}", self.list, read, "List service accounts", TAG)
        add(f"POST {all_}", self.create, manage, "Create a service account", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, read, "Read a service account", TAG)
        add(f"PATCH {one}", self.change, manage, "Rename, disable or enable a service account", TAG)
        add(f"DELETE {one}", self.delete, manage, "Delete a service account", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[ServiceAccount]]:
        """List a workspace's service accounts."""
        after = decode_id(cursor)
        rows = self._accounts.of_workspace(workspace_id, after, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def create(self, workspace_id: WorkspaceId, body: NewServiceAccount) -> Response[ServiceAccount]:
        """Create a service account: a member that is not a person. It acts by the keys that you create for it."""
        return document(self._accounts.create(self._gate.actor, workspace_id, body.name), HTTPStatus.CREATED)

    def get(self, workspace_id: WorkspaceId, service_account_id: ServiceAccountId) -> Response[ServiceAccount]:
        """Read a service account."""
        return document(self._accounts.get(workspace_id, service_account_id))

    def change(
        self, workspace_id: WorkspaceId, service_account_id: ServiceAccountId, body: ServiceAccountChange
    ) -> Response[ServiceAccount]:
        """Rename a service account, disable it, or enable it again."""
        changed = self._accounts.change(
            self._gate.actor, workspace_id, service_account_id, name=body.name, disabled=body.disabled
        )
        return document(changed)

    def delete(self, workspace_id: WorkspaceId, service_account_id: ServiceAccountId) -> Response[None]:
        """Delete a service account and revoke its keys."""
        self._accounts.delete(self._gate.actor, workspace_id, service_account_id)
        return nothing()
