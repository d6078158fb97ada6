"""Members in MySQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, or_, select, union

from opencode_cloud.contracts.ids import AccountId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.schema.identity import accounts, logins
from opencode_cloud.schema.workspaces import members
from opencode_cloud.workspaces.models import Member

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_MEMBER = select(
    members.c.id,
    members.c.account_id,
    accounts.c.email,
    accounts.c.name,
    members.c.role,
    members.c.created_at,
    members.c.updated_at,
).join(accounts, accounts.c.id == members.c.account_id)


class MemberRow(NamedTuple):
    """The row of a membership, present or removed."""

    id: MemberId
    account_id: AccountId
    removed: bool


class MemberStore:
    """The table ``members``, joined with the addresses of the people."""

    def add(
        self,
        connection: Connection,
        member_id: MemberId,
        workspace_id: WorkspaceId,
        account_id: AccountId,
        role: Role,
        at: datetime,
    ) -> None:
        """Write a new membership."""
        connection.execute(
            members.insert(),
            {
                "id": member_id,
                "workspace_id": workspace_id,
                "account_id": account_id,
                "role": role,
                "created_at": at,
                "updated_at": at,
            },
        )

    def change(self, connection: Connection, member_id: MemberId, values: Mapping[str, Any], at: datetime) -> None:
        """Set columns of a membership."""
        connection.execute(members.update().where(members.c.id == member_id).values({**values, "updated_at": at}))

    def member_row(self, connection: Connection, workspace_id: WorkspaceId, account_id: AccountId) -> MemberRow | None:
        """Return the row of a person in a workspace; they may have been removed."""
        row = connection.execute(
            select(members.c.id, members.c.account_id, members.c.removed_at).where(
                members.c.workspace_id == workspace_id, members.c.account_id == account_id
            )
        ).first()
        return MemberRow(row.id, row.account_id, row.removed_at is not None) if row else None

    def get(self, connection: Connection, workspace_id: WorkspaceId, member_id: MemberId) -> Member | None:
        """Return a member of a workspace who has not been removed."""
        query = _MEMBER.where(members.c.workspace_id == workspace_id, members.c.id == member_id)
        row = connection.execute(query.where(members.c.removed_at.is_(None))).first()
        return Member.model_validate(row) if row else None

    def some(self, connection: Connection, workspace_id: WorkspaceId, wanted: Collection[MemberId]) -> Sequence[Member]:
        """Return those of the ``wanted`` members who are in a workspace."""
        query = _MEMBER.where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
        return [Member.model_validate(row) for row in connection.execute(query.where(members.c.id.in_(wanted)))]

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        *,
        role: Role | None = None,
        search: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Member]:
        """Return members of a workspace by id, optionally of one role or with a text in name or address."""
        query = _MEMBER.where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
        if role is not None:
            query = query.where(members.c.role == role)
        if search:
            query = query.where(
                or_(
                    accounts.c.email.contains(search, autoescape=True),
                    accounts.c.name.contains(search, autoescape=True),
                )
            )
        if after is not None:
            query = query.where(members.c.id > after)
        return [Member.model_validate(row) for row in connection.execute(query.order_by(members.c.id).limit(limit))]

    def member_rows(self, connection: Connection, workspace_id: WorkspaceId) -> Sequence[MemberRow]:
        """Return the rows of all present and former members of a workspace."""
        query = select(members.c.id, members.c.account_id, members.c.removed_at).where(
            members.c.workspace_id == workspace_id
        )
        return [MemberRow(row.id, row.account_id, row.removed_at is not None) for row in connection.execute(query)]

    def owners_besides(self, connection: Connection, workspace_id: WorkspaceId, member_id: MemberId) -> int:
        """Count the other owners of a workspace, without blocked accounts, which cannot act for it."""
        query = (
            select(func.count())
            .select_from(members.join(accounts, accounts.c.id == members.c.account_id))
            .where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None), members.c.role == Role.OWNER)
            .where(accounts.c.blocked_at.is_(None), members.c.id != member_id)
        )
        return connection.execute(query).scalar_one()

    def by_address(self, connection: Connection, workspace_id: WorkspaceId, address: str) -> Member | None:
        """Return the member one of whose logins has this canonical address."""
        people = union(
            select(accounts.c.id).where(accounts.c.address == address),
            select(logins.c.account_id).where(logins.c.address == address),
        )
        query = _MEMBER.where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
        row = connection.execute(query.where(members.c.account_id.in_(people))).first()
        return Member.model_validate(row) if row else None

    def addresses(self, connection: Connection, account_id: AccountId) -> Sequence[str]:
        """Return all verified addresses of a person in their canonical form."""
        query = union(
            select(accounts.c.address).where(accounts.c.id == account_id),
            select(logins.c.address).where(logins.c.account_id == account_id),
        )
        return connection.execute(query).scalars().all()
