"""Mail domains of workspaces in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from opencode_cloud.contracts.ids import DomainId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.schema.workspaces import domains, workspaces
from opencode_cloud.workspaces.models import Domain

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class Opening(NamedTuple):
    """A workspace that people of a domain join automatically."""

    workspace_id: WorkspaceId
    domain: str
    role: Role


class DomainStore:
    """The table ``domains``."""

    def add(self, connection: Connection, domain: Domain, workspace_id: WorkspaceId) -> None:
        """Write a new domain of a workspace."""
        row = domain.model_dump(exclude={"record_name", "record_value"})
        connection.execute(domains.insert(), {**row, "workspace_id": workspace_id})

    def change(self, connection: Connection, domain_id: DomainId, values: Mapping[str, Any]) -> None:
        """Set columns of a domain."""
        connection.execute(domains.update().where(domains.c.id == domain_id).values(dict(values)))

    def delete(self, connection: Connection, domain_id: DomainId) -> None:
        """Delete a domain."""
        connection.execute(domains.delete().where(domains.c.id == domain_id))

    def get(self, connection: Connection, workspace_id: WorkspaceId, domain_id: DomainId) -> Domain | None:
        """Return a domain of a workspace by its id."""
        row = connection.execute(
            select(domains).where(domains.c.id == domain_id, domains.c.workspace_id == workspace_id)
        ).first()
        return Domain.model_validate(row) if row else None

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, after: str | None = None, limit: int | None = None
    ) -> Sequence[Domain]:
        """Return domains of a workspace by id."""
        query = select(domains).where(domains.c.workspace_id == workspace_id)
        if after is not None:
            query = query.where(domains.c.id > after)
        return [Domain.model_validate(row) for row in connection.execute(query.order_by(domains.c.id).limit(limit))]

    def named(self, connection: Connection, workspace_id: WorkspaceId, domain: str) -> Domain | None:
        """Return a domain of a workspace by its name."""
        row = connection.execute(
            select(domains).where(domains.c.domain == domain, domains.c.workspace_id == workspace_id)
        ).first()
        return Domain.model_validate(row) if row else None

    def open_to(self, connection: Connection, names: Sequence[str], verified_since: datetime) -> Sequence[Opening]:
        """Return the workspaces that people of these domains join automatically."""
        query = (
            select(domains.c.workspace_id, domains.c.domain, domains.c.role)
            .join(workspaces, workspaces.c.id == domains.c.workspace_id)
            .where(domains.c.domain.in_(names), domains.c.auto_join == 1, domains.c.verified_at >= verified_since)
            .where(workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))
            .order_by(domains.c.id)
        )
        return [Opening(row.workspace_id, row.domain, Role(row.role)) for row in connection.execute(query)]

    def to_verify(self, connection: Connection, verified_before: datetime) -> Sequence[Domain]:
        """Return verified domains of all workspaces whose last proof is older than ``verified_before``."""
        query = select(domains).where(domains.c.verified_at < verified_before)
        return [Domain.model_validate(row) for row in connection.execute(query)]
