"""Mail domains of workspaces in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, case, or_, select

from opencode_cloud.contracts.ids import DomainId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import GRANTS, Permission, Role
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.workspaces import domains, members, workspaces
from opencode_cloud.workspaces.models import Domain

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_vouchers = members.alias("vouchers")
_VOUCHED = domains.outerjoin(_vouchers, _vouchers.c.id == domains.c.vouched_by_member_id).outerjoin(
    accounts, accounts.c.id == _vouchers.c.account_id
)
_MANAGING = [role for role in Role if Permission.DOMAIN_MANAGE in GRANTS[role]]
_STANDS = or_(
    domains.c.vouched_by_member_id.is_(None),
    and_(_vouchers.c.removed_at.is_(None), accounts.c.blocked_at.is_(None), _vouchers.c.role.in_(_MANAGING)),
)
"""A domain stands on a member who may manage domains. Their right is looked up at each use."""
_DOMAIN = select(domains, case((_STANDS, 0), else_=1).label("paused")).select_from(_VOUCHED)


class Opening(NamedTuple):
    """A workspace that people of a domain join automatically."""

    workspace_id: WorkspaceId
    domain: str
    role: Role


class DomainStore:
    """The table ``domains``."""

    def add(
        self, connection: Connection, domain: Domain, workspace_id: WorkspaceId, vouched_by_member_id: MemberId | None
    ) -> None:
        """Write a new domain of a workspace."""
        row = domain.model_dump(exclude={"record_name", "record_value", "paused"})
        row |= {"workspace_id": workspace_id, "vouched_by_member_id": vouched_by_member_id}
        connection.execute(domains.insert(), row)

    def change(self, connection: Connection, domain_id: DomainId, values: Mapping[str, Any]) -> None:
        """Set columns of a domain."""
        connection.execute(domains.update().where(domains.c.id == domain_id).values(dict(values)))

    def delete(self, connection: Connection, domain_id: DomainId) -> None:
        """Delete a domain."""
        connection.execute(domains.delete().where(domains.c.id == domain_id))

    def get(self, connection: Connection, workspace_id: WorkspaceId, domain_id: DomainId) -> Domain | None:
        """Return a domain of a workspace by its id."""
        row = connection.execute(
            _DOMAIN.where(domains.c.id == domain_id, domains.c.workspace_id == workspace_id)
        ).first()
        return Domain.model_validate(row) if row else None

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, after: str | None = None, limit: int | None = None
    ) -> Sequence[Domain]:
        """Return domains of a workspace by id."""
        query = _DOMAIN.where(domains.c.workspace_id == workspace_id)
        if after is not None:
            query = query.where(domains.c.id > after)
        return [Domain.model_validate(row) for row in connection.execute(query.order_by(domains.c.id).limit(limit))]

    def named(self, connection: Connection, workspace_id: WorkspaceId, domain: str) -> Domain | None:
        """Return a domain of a workspace by its name."""
        row = connection.execute(
            _DOMAIN.where(domains.c.domain == domain, domains.c.workspace_id == workspace_id)
        ).first()
        return Domain.model_validate(row) if row else None

    def open_to(self, connection: Connection, names: Sequence[str], verified_since: datetime) -> Sequence[Opening]:
        """Return the workspaces that people of these domains join automatically."""
        query = (
            select(domains.c.workspace_id, domains.c.domain, domains.c.role)
            .select_from(_VOUCHED)
            .join(workspaces, workspaces.c.id == domains.c.workspace_id)
            .where(_STANDS)
            .where(domains.c.domain.in_(names), domains.c.auto_join == 1, domains.c.verified_at >= verified_since)
            .where(workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))
            .order_by(domains.c.id)
        )
        return [Opening(row.workspace_id, row.domain, Role(row.role)) for row in connection.execute(query)]

    def to_verify(self, connection: Connection, verified_before: datetime) -> Sequence[Domain]:
        """Return verified domains of all workspaces whose last proof is older than ``verified_before``."""
        query = _DOMAIN.where(domains.c.verified_at < verified_before)
        return [Domain.model_validate(row) for row in connection.execute(query)]
