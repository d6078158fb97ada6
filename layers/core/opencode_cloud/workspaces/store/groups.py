"""Groups of members in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, func, select, update

from opencode_cloud.contracts.ids import GroupId, MemberId, WorkspaceId
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.workspaces import group_members, member_groups, members
from opencode_cloud.workspaces.models import GroupMember, Member, MemberGroup

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_COUNT = (
    select(func.count())
    .select_from(group_members)
    .where(group_members.c.group_id == member_groups.c.id)
    .scalar_subquery()
)
_GROUP = select(member_groups, _COUNT.label("members"))


class GroupStore:
    """The tables ``member_groups`` and ``group_members``."""

    def add(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Write a new group."""
        connection.execute(member_groups.insert(), dict(row))

    def change(self, connection: Connection, group_id: GroupId, values: Mapping[str, Any], at: datetime) -> None:
        """Set columns of a group and increment its version."""
        changed = {**values, "version": member_groups.c.version + 1, "updated_at": at}
        connection.execute(update(member_groups).where(member_groups.c.id == group_id).values(changed))

    def delete(self, connection: Connection, group_id: GroupId) -> None:
        """Delete a group. Its members stay members of the workspace."""
        connection.execute(delete(member_groups).where(member_groups.c.id == group_id))

    def get(self, connection: Connection, workspace_id: WorkspaceId, group_id: GroupId) -> MemberGroup | None:
        """Return a group of a workspace."""
        query = _GROUP.where(member_groups.c.id == group_id, member_groups.c.workspace_id == workspace_id)
        row = connection.execute(query).first()
        return MemberGroup.model_validate(row) if row else None

    def named(self, connection: Connection, workspace_id: WorkspaceId, name: str) -> GroupId | None:
        """Return the group of a workspace with this name, by the database's comparison of texts."""
        query = select(member_groups.c.id).where(
            member_groups.c.workspace_id == workspace_id, member_groups.c.name == name
        )
        return connection.execute(query).scalar()

    def count(self, connection: Connection, workspace_id: WorkspaceId) -> int:
        """Count the groups of a workspace."""
        query = select(func.count()).select_from(member_groups).where(member_groups.c.workspace_id == workspace_id)
        return connection.execute(query).scalar_one()

    def rule_bytes(self, connection: Connection, workspace_id: WorkspaceId) -> int:
        """Return the bytes of names and rules of the groups of a workspace that have rules."""
        query = select(member_groups.c.name, member_groups.c.models).where(
            member_groups.c.workspace_id == workspace_id, member_groups.c.models.is_not(None)
        )
        return sum(len(msgspec.json.encode(tuple(row))) for row in connection.execute(query))

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        *,
        member_id: MemberId | None = None,
        search: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[MemberGroup]:
        """Return groups of a workspace by id, optionally those of a member or with a text in the name."""
        query = _GROUP.where(member_groups.c.workspace_id == workspace_id)
        if member_id is not None:
            inside = select(group_members.c.group_id).where(group_members.c.member_id == member_id)
            query = query.where(member_groups.c.id.in_(inside))
        if search:
            query = query.where(member_groups.c.name.contains(search, autoescape=True))
        if after is not None:
            query = query.where(member_groups.c.id > after)
        rows = connection.execute(query.order_by(member_groups.c.id).limit(limit))
        return [MemberGroup.model_validate(row) for row in rows]

    # ------------------------------------------------------------------------------------- members

    def members_of(
        self, connection: Connection, group_id: GroupId, after: str | None = None, limit: int | None = None
    ) -> Sequence[GroupMember]:
        """Return members of a group by id."""
        query = (
            select(
                members.c.id,
                members.c.account_id,
                members.c.role,
                accounts.c.email,
                accounts.c.name,
                group_members.c.added_by,
                group_members.c.added_at,
            )
            .join(group_members, group_members.c.member_id == members.c.id)
            .join(accounts, accounts.c.id == members.c.account_id)
            .where(group_members.c.group_id == group_id)
        )
        if after is not None:
            query = query.where(members.c.id > after)
        rows = connection.execute(query.order_by(members.c.id).limit(limit))
        return [GroupMember.model_validate(row) for row in rows]

    def inside(self, connection: Connection, group_id: GroupId, candidates: Sequence[MemberId]) -> set[MemberId]:
        """Return those of ``candidates`` who are in a group."""
        query = select(group_members.c.member_id).where(
            group_members.c.group_id == group_id, group_members.c.member_id.in_(candidates)
        )
        return set(connection.execute(query).scalars())

    def put_in(self, connection: Connection, group_id: GroupId, added: Sequence[Member], by: str, at: datetime) -> None:
        """Put members into a group who are not in it."""
        rows = [{"group_id": group_id, "member_id": each.id, "added_by": by, "added_at": at} for each in added]
        connection.execute(group_members.insert(), rows)

    def take_out(self, connection: Connection, group_id: GroupId, removed: Sequence[MemberId]) -> None:
        """Take members out of a group."""
        connection.execute(
            delete(group_members).where(group_members.c.group_id == group_id, group_members.c.member_id.in_(removed))
        )

    def leave_all(self, connection: Connection, member_id: MemberId) -> None:
        """Take a member out of all groups."""
        connection.execute(delete(group_members).where(group_members.c.member_id == member_id))

    def most_groups(self, connection: Connection, group_id: GroupId) -> int:
        """Return the largest number of groups that a member of a group is in."""
        own = group_members.alias("own")
        counted = (
            select(func.count().label("count"))
            .select_from(own.join(group_members, group_members.c.member_id == own.c.member_id))
            .where(own.c.group_id == group_id)
            .group_by(own.c.member_id)
            .subquery()
        )
        return connection.execute(select(func.coalesce(func.max(counted.c.count), 0))).scalar_one()
