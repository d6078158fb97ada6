"""`/api/v1/workspaces/{workspace}/domains`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from opencode_cloud.contracts.ids import DomainId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.etags import tag_of_request
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.workspaces.models import Domain
from opencode_cloud.workspaces.requests import NewDomain

if TYPE_CHECKING:
    from opencode_cloud.workspaces.service import Domains

TAG = "Domains"


class DomainChange(BaseModel):
    """Changes of a mail domain; omitted members stay unchanged."""

    role: Role | None = None
    auto_join: bool | None = None


class DomainRoutes:
    """Routes of mail domains."""

    def __init__(self, domains: Domains, gate: Gate) -> None:
        self._domains = domains
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, f"{WORKSPACE}/domains", f"{WORKSPACE}/domains/<domain_id>"
        read, manage = Permission.DOMAIN_READ, Permission.DOMAIN_MANAGE
        add(f"GET {all_}", self.list, read, "List mail domains", TAG)
        add(f"POST {all_}", self.add, manage, "Claim a mail domain", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, read, "Read a mail domain", TAG)
        add(f"PATCH {one}", self.change, manage, "Change a mail domain", TAG)
        add(f"POST {one}/verify", self.verify, manage, "Verify a mail domain", TAG)
        add(f"DELETE {one}", self.remove, manage, "Give up a mail domain", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[Domain]]:
        """List a workspace's mail domains, each with the DNS record that proves it."""
        after = decode_id(cursor)
        rows = self._domains.of_workspace(workspace_id, after, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def add(self, workspace_id: WorkspaceId, body: NewDomain) -> Response[Domain]:
        """Claim a mail domain. Publish the TXT record in the answer, then verify the domain."""
        domain = self._domains.add(self._gate.actor, workspace_id, body.domain, body.role, auto_join=body.auto_join)
        return document(domain, HTTPStatus.CREATED, tag=domain.tag)

    def get(self, workspace_id: WorkspaceId, domain_id: DomainId) -> Response[Domain]:
        """Read a mail domain."""
        domain = self._domains.get(workspace_id, domain_id)
        return document(domain, tag=domain.tag)

    def change(self, workspace_id: WorkspaceId, domain_id: DomainId, body: DomainChange) -> Response[Domain]:
        """Set the role of people of the domain, and whether they join automatically."""
        values, read = body.model_dump(exclude_none=True), tag_of_request(self._gate.event)
        domain = self._domains.change(self._gate.actor, workspace_id, domain_id, values, read)
        return document(domain, tag=domain.tag)

    def verify(self, workspace_id: WorkspaceId, domain_id: DomainId) -> Response[Domain]:
        """Look up the DNS record. Once it is found, people with a verified address in the domain join at sign-in."""
        domain = self._domains.verify(self._gate.actor, workspace_id, domain_id)
        return document(domain, tag=domain.tag)

    def remove(self, workspace_id: WorkspaceId, domain_id: DomainId) -> Response[None]:
        """Give up a mail domain. People who joined by it stay members."""
        self._domains.remove(self._gate.actor, workspace_id, domain_id, tag_of_request(self._gate.event))
        return nothing()
