"""Groups of members: rules for their models; their budgets are in ``budgets`` (docs/decisions/068)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.ids import GroupId, MemberId, WorkspaceId
from opencode_cloud.contracts.names import clean_name
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.etags import check_version
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.mail_addresses import InvalidMailAddress, canonical_address
from opencode_cloud.workspaces.models import (
    GroupMember,
    Member,
    MemberGroup,
    ModelRules,
    group_exists,
    group_not_found,
    too_many_group_patterns,
    too_many_groups,
    too_many_groups_of_member,
    unknown_group_members,
)
from opencode_cloud.workspaces.requests import LONGEST_GROUP_NAME, GroupChange
from opencode_cloud.workspaces.service.rules import locked

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.service import BudgetSubjects
    from opencode_cloud.budgets.service.group_budgets import GroupBudgets
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.workspaces.store import GroupStore, MemberStore, WorkspaceStore

MOST_GROUPS = 500
"""The most groups of a workspace."""
MOST_GROUPS_OF_MEMBER = 50
"""The most groups of a member, whose row names them."""
MOST_RULE_BYTES = 64 * 1024
"""The most bytes of the rules of all groups. They are in the workspace's row, which each call reads and DynamoDB limits
to 400 KB."""


class Groups:
    """Rules of groups. Their members are people; service accounts have budgets and models of their own."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        workspaces: WorkspaceStore,
        members: MemberStore,
        groups: GroupStore,
        subjects: BudgetSubjects,
        budgets: GroupBudgets,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._record = Recorder[MemberGroup](audit, "group", lambda group: group.id, lambda group: group.name)
        self._workspaces = workspaces
        self._members = members
        self._groups = groups
        self._subjects = subjects
        self._budgets = budgets

    def of_workspace(
        self,
        workspace_id: WorkspaceId,
        *,
        member_id: MemberId | None = None,
        search: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[MemberGroup]:
        """Return groups by id, optionally those of a member or with a text in the name."""
        with self._database.transaction() as connection:
            return self._groups.of_workspace(
                connection, workspace_id, member_id=member_id, search=search, after=after, limit=limit
            )

    def get(self, workspace_id: WorkspaceId, group_id: GroupId) -> MemberGroup:
        """Return a group; raises ``group_not_found``."""
        with self._database.transaction() as connection:
            return self._of(connection, workspace_id, group_id)

    def members_of(
        self, workspace_id: WorkspaceId, group_id: GroupId, after: str | None = None, limit: int | None = None
    ) -> Sequence[GroupMember]:
        """Return members of a group by id; raises ``group_not_found``."""
        with self._database.transaction() as connection:
            self._of(connection, workspace_id, group_id)
            return self._groups.members_of(connection, group_id, after, limit)

    def members_at(
        self, workspace_id: WorkspaceId, addresses: Sequence[str]
    ) -> tuple[Sequence[MemberId], Sequence[str]]:
        """Return the ids of the members with these e-mail addresses, and the addresses that no member has."""
        found, unknown = list[MemberId](), list[str]()
        with self._database.transaction() as connection:
            for address in addresses:
                member = self._member_at(connection, workspace_id, address)
                if member is None:
                    unknown.append(address)
                else:
                    found.append(member.id)
        return found, unknown

    def create(
        self, actor: Actor, workspace_id: WorkspaceId, name: str, models: ModelRules | None = None
    ) -> MemberGroup:
        """Create a group without members; raises ``group_exists``, ``too_many_groups`` or the errors of names."""
        now, group_id, named = utc_now(), GroupId(new_id("grp")), clean_name(name, LONGEST_GROUP_NAME)
        row = {
            "id": group_id,
            "workspace_id": workspace_id,
            "name": named,
            "models": _stored(models),
            "created_by": actor.name,
            "created_at": now,
            "updated_at": now,
        }
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            if self._groups.count(unit.connection, workspace_id) >= MOST_GROUPS:
                raise too_many_groups(MOST_GROUPS)
            self._check_name(unit, workspace_id, named, None)
            self._groups.add(unit.connection, row)
            self._check_patterns(unit, workspace_id)
            group = self._of(unit.connection, workspace_id, group_id)
            unit.emit(Topic.BUDGETS, workspace_id)
            self._record(unit, actor, "group.created", workspace_id, group, after=_as_record(group))
        return group

    def change(
        self, actor: Actor, workspace_id: WorkspaceId, group_id: GroupId, version: int, change: GroupChange
    ) -> MemberGroup:
        """Rename a group, or set the rules for its models. It takes effect within seconds.

        Raises ``group_not_found``, ``group_exists``, ``too_many_group_patterns`` or ``stale_version``.
        """
        values: dict[str, Any] = {}
        if change.name is not None:
            values["name"] = clean_name(change.name, LONGEST_GROUP_NAME)
        if "models" in change.model_fields_set:
            values["models"] = _stored(change.models)
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            before = self._of(unit.connection, workspace_id, group_id)
            check_version(version, before.version)
            self._check_name(unit, workspace_id, values.get("name", before.name), group_id)
            self._groups.change(unit.connection, group_id, values, utc_now())
            self._check_patterns(unit, workspace_id)
            after = self._of(unit.connection, workspace_id, group_id)
            unit.emit(Topic.BUDGETS, workspace_id)
            records = (_as_record(before), _as_record(after))
            self._record(unit, actor, "group.updated", workspace_id, after, *records)
        return after

    def delete(self, actor: Actor, workspace_id: WorkspaceId, group_id: GroupId, version: int) -> None:
        """Delete a group with its budgets and rules. Raises ``group_not_found`` or ``stale_version``."""
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            group = self._of(unit.connection, workspace_id, group_id)
            check_version(version, group.version)
            self._subjects.forget(unit, [group_id])
            self._groups.delete(unit.connection, group_id)
            # The rows of members still name the group, which has neither rules nor budgets any more.
            unit.emit(Topic.BUDGETS, workspace_id)
            self._record(unit, actor, "group.deleted", workspace_id, group, before=_as_record(group))

    def change_members(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        group_id: GroupId,
        add: Sequence[MemberId],
        remove: Sequence[MemberId] = (),
    ) -> MemberGroup:
        """Put members into a group and take others out of it, all or none. It takes effect within seconds.

        Members who are in it already, or not in it, stay as they are. Raises ``group_not_found``,
        ``unknown_members``, ``too_many_groups_of_member`` or ``too_many_group_budgets``.
        """
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            self._of(unit.connection, workspace_id, group_id)
            added, removed = self._changes(unit, workspace_id, group_id, add, remove)
            if removed:
                self._groups.take_out(unit.connection, group_id, [each.id for each in removed])
            if added:
                self._groups.put_in(unit.connection, group_id, added, actor.name, utc_now())
                if self._groups.most_groups(unit.connection, group_id) > MOST_GROUPS_OF_MEMBER:
                    raise too_many_groups_of_member(MOST_GROUPS_OF_MEMBER)
                self._budgets.check(unit.connection, group_id)
            for member in (*added, *removed):
                unit.emit(Topic.MEMBER, member.id, {"workspace": workspace_id, "account": member.account_id})
            group = self._of(unit.connection, workspace_id, group_id)
            if added or removed:
                after = {"added": [each.email for each in added], "removed": [each.email for each in removed]}
                self._record(unit, actor, "group.members_changed", workspace_id, group, after=after)
        return group

    def _changes(
        self,
        unit: UnitOfWork,
        workspace_id: WorkspaceId,
        group_id: GroupId,
        add: Sequence[MemberId],
        remove: Sequence[MemberId],
    ) -> tuple[Sequence[Member], Sequence[Member]]:
        """Return the members who come and those who go; raises ``unknown_members``."""
        named = list(dict.fromkeys([*add, *remove]))
        inside = self._groups.inside(unit.connection, group_id, named)
        known = {each.id: each for each in self._members.some(unit.connection, workspace_id, named)}
        if unknown := [each for each in add if each not in known]:
            raise unknown_group_members(unknown)
        coming = [known[each] for each in dict.fromkeys(add) if each not in inside and each not in remove]
        going = [known[each] for each in dict.fromkeys(remove) if each in inside and each in known]
        return coming, going

    def _member_at(self, connection: Connection, workspace_id: WorkspaceId, address: str) -> Member | None:
        try:
            return self._members.by_address(connection, workspace_id, canonical_address(address))
        except InvalidMailAddress:
            return None

    def _of(self, connection: Connection, workspace_id: WorkspaceId, group_id: GroupId) -> MemberGroup:
        group = self._groups.get(connection, workspace_id, group_id)
        if group is None:
            raise group_not_found()
        return group

    def _check_name(self, unit: UnitOfWork, workspace_id: WorkspaceId, name: str, own: GroupId | None) -> None:
        if self._groups.named(unit.connection, workspace_id, name) not in (None, own):
            raise group_exists()

    def _check_patterns(self, unit: UnitOfWork, workspace_id: WorkspaceId) -> None:
        if self._groups.rule_bytes(unit.connection, workspace_id) > MOST_RULE_BYTES:
            raise too_many_group_patterns(MOST_RULE_BYTES)


def _stored(models: ModelRules | None) -> dict[str, Any] | None:
    """Return rules as the database keeps them; rules that allow everything are none."""
    return None if models is None or (models.allow is None and not models.deny) else models.model_dump()


def _as_record(group: MemberGroup) -> dict[str, Any]:
    """Return the values of a group that audit entries record."""
    return group.model_dump(include={"name", "models"}, mode="json")
