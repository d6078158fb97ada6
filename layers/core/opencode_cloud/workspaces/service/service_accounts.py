"""Service accounts: members that are not persons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.ids import ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.names import clean_name
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.workspaces.models import ServiceAccount, service_account_not_found
from opencode_cloud.workspaces.service.rules import locked, member_behind

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.service import BudgetSubjects
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.keys.service import Keys
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.workspaces.store import ServiceAccountStore, WorkspaceStore


class ServiceAccounts:
    """Rules of service accounts."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        workspaces: WorkspaceStore,
        service_accounts: ServiceAccountStore,
        keys: Keys,
        budgets: BudgetSubjects,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._record = Recorder[ServiceAccount](
            audit, "service_account", lambda account: account.id, lambda account: account.name
        )
        self._workspaces = workspaces
        self._accounts = service_accounts
        self._keys = keys
        self._budgets = budgets

    def of_workspace(
        self, workspace_id: WorkspaceId, after: str | None = None, limit: int | None = None
    ) -> Sequence[ServiceAccount]:
        """Return service accounts of a workspace by id."""
        with self._database.transaction() as connection:
            return self._accounts.of_workspace(connection, workspace_id, after, limit)

    def get(self, workspace_id: WorkspaceId, service_account_id: ServiceAccountId) -> ServiceAccount:
        """Return a service account; raises ``service_account_not_found``."""
        with self._database.transaction() as connection:
            return self._of(connection, workspace_id, service_account_id)

    def create(self, actor: Actor, workspace_id: WorkspaceId, name: str) -> ServiceAccount:
        """Create a service account. It can act once it has a key."""
        now = utc_now()
        new = ServiceAccount(
            id=ServiceAccountId(new_id("svc")),
            name=clean_name(name),
            created_by=actor.name,
            created_at=now,
            updated_at=now,
        )
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            self._accounts.add(unit.connection, new, workspace_id, member_behind(actor))
            unit.emit(Topic.SERVICE_ACCOUNT, new.id, {"workspace": workspace_id})
            self._record(unit, actor, "service_account.created", workspace_id, new, after={"name": new.name})
        return new

    def change(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        service_account_id: ServiceAccountId,
        *,
        name: str | None = None,
        disabled: bool | None = None,
    ) -> ServiceAccount:
        """Rename, disable or enable a service account. Keys of a disabled one are refused until it is enabled."""
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            account = self._of(unit.connection, workspace_id, service_account_id)
            now = utc_now()
            if name is not None and clean_name(name) != account.name:
                self._set(unit, workspace_id, service_account_id, {"name": clean_name(name)})
                names = ({"name": account.name}, {"name": clean_name(name)})
                self._record(unit, actor, "service_account.updated", workspace_id, account, *names)
            if disabled is not None and disabled is not (account.disabled_at is not None):
                self._set(unit, workspace_id, service_account_id, {"disabled_at": now if disabled else None})
                action = "service_account.disabled" if disabled else "service_account.enabled"
                self._record(unit, actor, action, workspace_id, account)
            return self._of(unit.connection, workspace_id, service_account_id)

    def delete(self, actor: Actor, workspace_id: WorkspaceId, service_account_id: ServiceAccountId) -> None:
        """Delete a service account and revoke its keys."""
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            account = self._of(unit.connection, workspace_id, service_account_id)
            self._set(unit, workspace_id, service_account_id, {"deleted_at": utc_now()})
            keys = self._keys.revoke_of_service_account(unit, workspace_id, service_account_id)
            self._budgets.forget(unit, [service_account_id])
            self._record(unit, actor, "service_account.deleted", workspace_id, account, after={"revoked_keys": keys})

    def _of(
        self, connection: Connection, workspace_id: WorkspaceId, service_account_id: ServiceAccountId
    ) -> ServiceAccount:
        account = self._accounts.get(connection, workspace_id, service_account_id)
        if account is None:
            raise service_account_not_found()
        return account

    def _set(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, service_account_id: ServiceAccountId, values: dict[str, Any]
    ) -> None:
        self._accounts.change(unit.connection, service_account_id, values, utc_now())
        unit.emit(Topic.SERVICE_ACCOUNT, service_account_id, {"workspace": workspace_id})
