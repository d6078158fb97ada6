"""`/api/v1/workspaces/{workspace}/providers`: the workspace's own keys of model providers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opencode_cloud.contracts.ids import CredentialId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.keys.models import ProviderCredential
from opencode_cloud.keys.requests import CredentialReplacement, NewCredential
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of

if TYPE_CHECKING:
    from opencode_cloud.keys.service import Credentials

TAG = "Providers"
ALL = f"{WORKSPACE}/providers"


class CredentialRoutes:
    """Routes of provider credentials."""

    def __init__(self, credentials: Credentials, gate: Gate) -> None:
        self._credentials = credentials
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, ALL, f"{ALL}/<credential_id>"
        read, manage = Permission.PROVIDER_READ, Permission.PROVIDER_MANAGE
        add(f"GET {all_}", self.list, read, "List provider credentials", TAG)
        add(f"POST {all_}", self.create, manage, "Add a provider credential", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, read, "Read a provider credential", TAG)
        add(f"PUT {one}", self.replace, manage, "Replace a provider credential", TAG)
        add(f"POST {one}/test", self.check, manage, "Test a provider credential", TAG)
        add(f"DELETE {one}", self.delete, manage, "Delete a provider credential", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self,
        workspace_id: WorkspaceId,
        search: Annotated[
            str, Query(max_length=100, description="A part of provider, name or base URL, or the last four characters.")
        ] = "",
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[ProviderCredential]]:
        """List the workspace's provider credentials, without the keys."""
        after = decode_id(cursor)
        rows = self._credentials.of_workspace(workspace_id, after, limit + 1, search=search)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def create(self, workspace_id: WorkspaceId, body: NewCredential) -> Response[ProviderCredential]:
        """Store a provider's key. It can be used, tested and replaced from then on, but not read."""
        credential = self._credentials.create(
            self._gate.actor, workspace_id, body.provider, body.name, body.secret, body.base_url
        )
        return document(credential, HTTPStatus.CREATED)

    def get(self, workspace_id: WorkspaceId, credential_id: CredentialId) -> Response[ProviderCredential]:
        """Read a provider credential, without the key."""
        return document(self._credentials.get(workspace_id, credential_id))

    def replace(
        self, workspace_id: WorkspaceId, credential_id: CredentialId, body: CredentialReplacement
    ) -> Response[ProviderCredential]:
        """Replace the key of a provider credential."""
        replaced = self._credentials.replace(self._gate.actor, workspace_id, credential_id, body.secret, body.base_url)
        return document(replaced)

    def check(self, workspace_id: WorkspaceId, credential_id: CredentialId) -> Response[ProviderCredential]:
        """Ask the provider whether the key works. `test_result` has the outcome."""
        return document(self._credentials.check(self._gate.actor, workspace_id, credential_id))

    def delete(self, workspace_id: WorkspaceId, credential_id: CredentialId) -> Response[None]:
        """Delete a provider credential for good."""
        self._credentials.delete(self._gate.actor, workspace_id, credential_id)
        return nothing()
