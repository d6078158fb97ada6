"""Workspaces: create, rename, transfer, delete with a grace period, restore, purge and block them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.access import member_not_found, not_permitted, workspace_not_found
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import AccountId, MemberId, WorkspaceId
from opencode_cloud.contracts.names import clean_name
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.etags import check_version
from opencode_cloud.kit.housekeeping import ItemRuns
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.mail_addresses import domain_of
from opencode_cloud.workspaces.models import (
    LEAST_AUDIT_DAYS,
    Membership,
    Workspace,
    not_deleted,
    owners_only,
    retention_too_short,
    too_many_workspaces,
    transfer_to_self,
)
from opencode_cloud.workspaces.service.domains import VERIFIED_FOR
from opencode_cloud.workspaces.service.rules import locked, require_person

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.keys.service import Keys
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.workspaces.service.joining import Joining
    from opencode_cloud.workspaces.store import DomainStore, MemberStore, ServiceAccountStore, WorkspaceStore

GRACE = timedelta(days=30)
"""Time within which a deleted workspace can be restored."""

MOST_OWNED = 50
"""Limit of workspaces that one person owns. Enough for people; bounds runaway scripts."""

PURGED_AT_ONCE = 100
SYSTEM = Actor(kind=ActorKind.SYSTEM, name="schedule")


class WorkspaceStores(msgspec.Struct, frozen=True):
    """The stores that :class:`Workspaces` needs."""

    workspaces: WorkspaceStore
    members: MemberStore
    domains: DomainStore
    service_accounts: ServiceAccountStore


class Workspaces:
    """Rules of workspaces."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        stores: WorkspaceStores,
        joining: Joining,
        keys: Keys,
        forget_shares: Callable[[WorkspaceId], None],
    ) -> None:
        """``forget_shares`` removes all shares of a workspace, at once or asynchronously."""
        self._database = database
        self._outbox = outbox
        self._record = Recorder[Workspace](
            audit, "workspace", lambda workspace: workspace.id, lambda workspace: workspace.name
        )
        self._stores = stores
        self._joining = joining
        self._keys = keys
        self._forget_shares = forget_shares

    # ------------------------------------------------------------------------------------- for people

    def create(self, actor: Actor, name: str) -> Workspace:
        """Create a workspace that the acting person owns; raises ``too_many_workspaces``."""
        require_person(actor)
        with self._outbox.unit() as unit:
            if self._stores.workspaces.owned_by(unit.connection, actor.account_id) >= MOST_OWNED:
                raise too_many_workspaces(MOST_OWNED)
            return self.create_in_unit(unit, actor.account_id, actor.name, name, actor=actor)

    def create_in_unit(
        self, unit: UnitOfWork, account_id: AccountId, email: str, name: str, *, actor: Actor | None = None
    ) -> Workspace:
        """Create a workspace with its owner in ``unit``. The actor is the owner unless another is given."""
        actor = actor or Actor(kind=ActorKind.ACCOUNT, id=account_id, name=email, account_id=account_id)
        now = utc_now()
        workspace = Workspace(
            id=WorkspaceId(new_id("wrk")),
            name=clean_name(name),
            version=1,
            audit_retention_days=365,
            created_at=now,
            updated_at=now,
        )
        self._stores.workspaces.add(unit.connection, workspace)
        unit.emit(Topic.WORKSPACE, workspace.id)
        self._record(unit, actor, "workspace.created", workspace.id, workspace, after={"name": workspace.name})
        self._joining.join(unit, actor, workspace.id, account_id, email, Role.OWNER, "founding")
        return workspace

    def get(self, workspace_id: WorkspaceId) -> Workspace:
        """Return a workspace that is neither blocked nor deleted; raises ``workspace_not_found``."""
        with self._database.transaction() as connection:
            workspace = self._stores.workspaces.get(connection, workspace_id)
        if workspace is None or not workspace.alive:
            raise workspace_not_found()
        return workspace

    def memberships(
        self, account_id: AccountId, after: str | None = None, limit: int | None = None
    ) -> Sequence[Membership]:
        """Return the workspaces of a person by id, deleted ones only to owners, who can restore them."""
        with self._database.transaction() as connection:
            return self._stores.workspaces.memberships(connection, account_id, after, limit)

    def change(self, actor: Actor, workspace_id: WorkspaceId, version: int, values: dict[str, Any]) -> Workspace:
        """Set name or retention of the audit trail.

        Raises ``not_permitted`` for a retention without that permission, ``retention_too_short`` (422) below the floor,
        ``stale_version`` when ``version`` is outdated.
        """
        if "audit_retention_days" in values and not actor.may(Permission.AUDIT_RETENTION):
            raise not_permitted(Permission.AUDIT_RETENTION)
        if values.get("audit_retention_days", LEAST_AUDIT_DAYS) < LEAST_AUDIT_DAYS:
            raise retention_too_short()
        if "name" in values:
            values = {**values, "name": clean_name(values["name"])}
        with self._outbox.unit() as unit:
            workspace = self._at_version(unit, workspace_id, version)
            before = {name: getattr(workspace, name) for name in values}
            if before == values:
                return workspace
            now = utc_now()
            shorter = (
                values.get("audit_retention_days", workspace.audit_retention_days) < workspace.audit_retention_days
            )
            noted = {"audit_retention_shortened_at": now} if shorter else {}
            self._stores.workspaces.change(unit.connection, workspace_id, values | noted, now)
            unit.emit(Topic.WORKSPACE, workspace_id)
            self._record(unit, actor, "workspace.updated", workspace.id, workspace, before=before, after=values)
            return self._read(unit.connection, workspace_id)

    def transfer(self, actor: Actor, workspace_id: WorkspaceId, member_id: MemberId) -> Workspace:
        """Make a member the owner; the acting owner becomes an admin. Raises ``member_not_found``."""
        require_person(actor)
        if member_id == actor.id:
            raise transfer_to_self()
        with self._outbox.unit() as unit:
            workspace = locked(self._stores.workspaces, unit.connection, workspace_id)
            new_owner = self._stores.members.get(unit.connection, workspace_id, member_id)
            old_owner = self._stores.members.get(unit.connection, workspace_id, MemberId(actor.id))
            if new_owner is None or old_owner is None:
                raise member_not_found()
            if old_owner.role is not Role.OWNER:  # demoted after the request was authorized
                raise owners_only()
            now = utc_now()
            for member, role in ((new_owner, Role.OWNER), (old_owner, Role.ADMIN)):
                self._stores.members.change(unit.connection, member.id, {"role": role}, now)
                unit.emit(Topic.MEMBER, member.id, {"workspace": workspace_id, "account": member.account_id})
            self._record(
                unit,
                actor,
                "workspace.transferred",
                workspace.id,
                workspace,
                before={"owner": old_owner.email, old_owner.email: old_owner.role, new_owner.email: new_owner.role},
                after={"owner": new_owner.email, old_owner.email: Role.ADMIN, new_owner.email: Role.OWNER},
            )
            return workspace

    def delete(self, actor: Actor, workspace_id: WorkspaceId, version: int) -> Workspace:
        """Delete a workspace. It is closed at once, restorable for ``GRACE``, and purged afterwards."""
        require_person(actor)
        with self._outbox.unit() as unit:
            workspace = self._at_version(unit, workspace_id, version)
            now = utc_now()
            values = {"deleted_at": now, "purge_after": now + GRACE}
            self._stores.workspaces.change(unit.connection, workspace_id, values, now)
            unit.emit(Topic.WORKSPACE, workspace_id)
            deleted = self._read(unit.connection, workspace_id)
            after = deleted.model_dump(mode="json", include={"deleted_at", "purge_after"})
            self._record(unit, actor, "workspace.deleted", workspace.id, workspace, after=after)
            return deleted

    def restore(self, actor: Actor, workspace_id: WorkspaceId) -> Workspace:
        """Restore a deleted workspace for one of its owners; raises ``workspace_not_found`` or ``not_deleted``."""
        require_person(actor)
        with self._outbox.unit() as unit:
            workspace = self._stores.workspaces.lock(unit.connection, workspace_id)
            row = self._stores.members.member_row(unit.connection, workspace_id, actor.account_id)
            member = self._stores.members.get(unit.connection, workspace_id, MemberId(row.id)) if row else None
            if workspace is None or workspace.blocked_at or member is None or member.role is not Role.OWNER:
                raise workspace_not_found()
            if workspace.deleted_at is None:
                raise not_deleted()
            values = {"deleted_at": None, "purge_after": None}
            self._stores.workspaces.change(unit.connection, workspace_id, values, utc_now())
            unit.emit(Topic.WORKSPACE, workspace_id)
            self._record(unit, actor, "workspace.restored", workspace.id, workspace)
            return self._read(unit.connection, workspace_id)

    # ------------------------------------------------------------------------------------- for other features

    def auto_join(self, unit: UnitOfWork, account_id: AccountId) -> Sequence[WorkspaceId]:
        """Make a person a member of each workspace that one of their mail domains opens; return these workspaces.

        A person who was removed from a workspace does not rejoin it this way.
        """
        addresses = self._stores.members.addresses(unit.connection, account_id)
        by_domain = {domain_of(address): address for address in addresses}
        openings = self._stores.domains.open_to(unit.connection, [*by_domain], utc_now() - VERIFIED_FOR)
        joined: list[WorkspaceId] = []
        for opening in openings:
            locked(self._stores.workspaces, unit.connection, opening.workspace_id)
            if self._stores.members.member_row(unit.connection, opening.workspace_id, account_id):
                continue
            email = by_domain[opening.domain]
            actor = Actor(kind=ActorKind.ACCOUNT, id=account_id, name=email, account_id=account_id)
            self._joining.join(unit, actor, opening.workspace_id, account_id, email, opening.role, "domain")
            joined.append(opening.workspace_id)
        return joined

    # ------------------------------------------------------------------------------------- for operators and schedules

    def look_up(self, workspace_id: WorkspaceId) -> Workspace:
        """Return a workspace in any state; raises ``workspace_not_found``."""
        with self._database.transaction() as connection:
            return self._read(connection, workspace_id)

    def block(self, actor: Actor, workspace_id: WorkspaceId) -> Workspace:
        """Block a workspace: refuse all access until it is unblocked."""
        return self._set_blocked(actor, workspace_id, blocked=True)

    def unblock(self, actor: Actor, workspace_id: WorkspaceId) -> Workspace:
        """Unblock a workspace."""
        return self._set_blocked(actor, workspace_id, blocked=False)

    def purge_expired(self) -> int:
        """Purge the workspaces whose grace period is over and return how many. Called once a day.

        Raises :class:`ItemsFailed` if some failed. The others are purged.
        """
        with self._database.transaction() as connection:
            due = self._stores.workspaces.to_purge(connection, utc_now(), PURGED_AT_ONCE)
        runs = ItemRuns()
        for workspace_id in due:
            runs.run(workspace_id, partial(self._purge, workspace_id))
        runs.check()
        return runs.total

    # ------------------------------------------------------------------------------------- internals

    def _purge(self, workspace_id: WorkspaceId) -> bool:
        with self._outbox.unit() as unit:
            workspace = self._stores.workspaces.lock(unit.connection, workspace_id)
            if workspace is None or workspace.purge_after is None or workspace.purge_after > utc_now():
                return False  # restored, or purged by another run
            self._emit_members(unit, workspace_id)
            for account in self._stores.service_accounts.all_ids(unit.connection, workspace_id):
                unit.emit(Topic.SERVICE_ACCOUNT, account, {"workspace": workspace_id})
            self._keys.emit_all(unit, workspace_id)
            # Before the commit: a crash after it would leave shares whose workspace is no longer known.
            self._forget_shares(workspace_id)
            self._stores.workspaces.delete(unit.connection, workspace_id)
            unit.emit(Topic.CONFIGURATION, workspace_id)
            unit.emit(Topic.WORKSPACE, workspace_id)
            self._record(unit, SYSTEM, "workspace.purged", workspace.id, workspace)
        logger.info("workspace purged", extra={"workspace": workspace_id})
        return True

    def _set_blocked(self, actor: Actor, workspace_id: WorkspaceId, *, blocked: bool) -> Workspace:
        with self._outbox.unit() as unit:
            workspace = self._stores.workspaces.lock(unit.connection, workspace_id)
            if workspace is None:
                raise workspace_not_found()
            if (workspace.blocked_at is not None) is blocked:
                return workspace
            now = utc_now()
            self._stores.workspaces.change(unit.connection, workspace_id, {"blocked_at": now if blocked else None}, now)
            unit.emit(Topic.WORKSPACE, workspace_id)
            self._record(
                unit, actor, "workspace.blocked" if blocked else "workspace.unblocked", workspace.id, workspace
            )
            return self._read(unit.connection, workspace_id)

    def _at_version(self, unit: UnitOfWork, workspace_id: WorkspaceId, version: int) -> Workspace:
        workspace = locked(self._stores.workspaces, unit.connection, workspace_id)
        check_version(version, workspace.version)
        return workspace

    def _read(self, connection: Connection, workspace_id: WorkspaceId) -> Workspace:
        workspace = self._stores.workspaces.get(connection, workspace_id)
        if workspace is None:
            raise workspace_not_found()
        return workspace

    def _emit_members(self, unit: UnitOfWork, workspace_id: WorkspaceId) -> None:
        for row in self._stores.members.member_rows(unit.connection, workspace_id):
            if not row.removed:
                unit.emit(Topic.MEMBER, row.id, {"workspace": workspace_id, "account": row.account_id})
