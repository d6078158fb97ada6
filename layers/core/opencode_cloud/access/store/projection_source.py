"""The source of the projection, read from MySQL: a row for every existing thing, None for everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from sqlalchemy import Column, or_, select

from opencode_cloud.access.models import OF_WORKSPACE, Known, ProjectionKey, ProjectionKind
from opencode_cloud.contracts.access import (
    EnforcedPolicy,
    EnforcedRules,
    KnownAccount,
    KnownConfiguration,
    KnownCredential,
    KnownCredentials,
    KnownGroup,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownWorkspace,
)
from opencode_cloud.contracts.budgets import OF_GROUPS, BudgetPeriod, BudgetScope, BudgetUnit, CreditEnd, KnownBudget
from opencode_cloud.contracts.ids import AccountId, GroupId, KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.kit.sql import utc_now
from opencode_cloud.schema.budgets import budgets, usage_settings
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys, provider_credentials
from opencode_cloud.schema.workspaces import group_members, member_groups, members, service_accounts, workspaces

if TYPE_CHECKING:
    from sqlalchemy import Row

    from opencode_cloud.kit.sql import Connection

PAGE = 500
_IN_WORKSPACE = OF_GROUPS | {BudgetScope.PROJECT}
"""Scopes of budgets whose subject has no row of its own."""
_ALIVE = (workspaces.c.deleted_at.is_(None), workspaces.c.blocked_at.is_(None))


class PolicyCompiler(Protocol):
    """Compiles the published policy of a workspace, in the caller's transaction."""

    def enforced_policy(self, connection: Connection, workspace_id: WorkspaceId) -> EnforcedPolicy:
        """Return the policy in the form that the planes enforce."""
        ...

    def configuration(self, connection: Connection, workspace_id: WorkspaceId) -> KnownConfiguration | None:
        """Return the remote config of clients; None when no configuration was published."""
        ...


class ProjectionSource:
    """Reads of the console plane's tables, each in the caller's transaction."""

    def __init__(self, compiler: PolicyCompiler) -> None:
        self._compiler = compiler

    def at(self, connection: Connection, key: ProjectionKey) -> Known | None:
        """Return the present value for ``key``; None when it is absent, blocked, disabled, expired or removed."""
        match key.kind:
            case ProjectionKind.ACCOUNT:
                return self._account(connection, AccountId(key.id))
            case ProjectionKind.WORKSPACE:
                return self._workspace(connection, WorkspaceId(key.id))
            case ProjectionKind.MEMBER:
                return self._member(connection, key)
            case ProjectionKind.SERVICE_ACCOUNT:
                return self._service_account(connection, key)
            case ProjectionKind.KEY:
                return self._key(connection, key.id)
            case ProjectionKind.CONFIGURATION:
                workspace = self._workspace_row(connection, WorkspaceId(key.id))
                return self._compiler.configuration(connection, WorkspaceId(key.id)) if workspace else None
            case ProjectionKind.CREDENTIALS:
                return (
                    self._credentials(connection, WorkspaceId(key.id))
                    if self._workspace_row(connection, WorkspaceId(key.id))
                    else None
                )

    def members_of(self, connection: Connection, workspace_id: WorkspaceId) -> Sequence[ProjectionKey]:
        """Return the keys of all present and former members of a workspace."""
        query = select(members.c.id, members.c.workspace_id, members.c.account_id)
        return [_member_key(row) for row in connection.execute(query.where(members.c.workspace_id == workspace_id))]

    def everything(
        self, connection: Connection, workspace_id: WorkspaceId | None = None
    ) -> Iterator[Sequence[ProjectionKey]]:
        """Yield the keys of everything, or of everything in one workspace, in pages."""
        of_keys = select(keys.c.id, keys.c.hash, keys.c.workspace_id)
        of_members = select(members.c.id, members.c.workspace_id, members.c.account_id)
        of_services = select(service_accounts.c.id, service_accounts.c.workspace_id)
        of_workspaces = select(workspaces.c.id)
        if workspace_id is None:
            for page in _pages(connection, select(accounts.c.id), accounts.c.id):
                yield [ProjectionKey(ProjectionKind.ACCOUNT, row.id) for row in page]
        else:
            of_keys = of_keys.where(keys.c.workspace_id == workspace_id)
            of_members = of_members.where(members.c.workspace_id == workspace_id)
            of_services = of_services.where(service_accounts.c.workspace_id == workspace_id)
            of_workspaces = of_workspaces.where(workspaces.c.id == workspace_id)
        for page in _pages(connection, of_workspaces, workspaces.c.id):
            yield [ProjectionKey(kind, row.id) for row in page for kind in OF_WORKSPACE]
        for page in _pages(connection, of_members, members.c.id):
            yield [_member_key(row) for row in page]
        for page in _pages(connection, of_services, service_accounts.c.id):
            yield [ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, row.id, row.workspace_id) for row in page]
        for page in _pages(connection, of_keys, keys.c.id):
            yield [ProjectionKey(ProjectionKind.KEY, row.hash.hex()) for row in page]

    def _account(self, connection: Connection, account_id: AccountId) -> KnownAccount | None:
        query = select(accounts).where(accounts.c.id == account_id, accounts.c.blocked_at.is_(None))
        row = connection.execute(query).first()
        return KnownAccount(id=row.id, email=row.email, name=row.name) if row else None

    def _workspace_row(self, connection: Connection, workspace_id: WorkspaceId) -> Row[Any] | None:
        return connection.execute(select(workspaces).where(workspaces.c.id == workspace_id, *_ALIVE)).first()

    def _workspace(self, connection: Connection, workspace_id: WorkspaceId) -> KnownWorkspace | None:
        row = self._workspace_row(connection, workspace_id)
        if row is None:
            return None
        policy = self._compiler.enforced_policy(connection, workspace_id)
        columns = usage_settings.c
        query = select(columns.metadata_days, columns.project_headers).where(columns.workspace_id == workspace_id)
        settings = connection.execute(query).first()
        return KnownWorkspace(
            id=row.id,
            name=row.name,
            policy=policy,
            budgets=_workspace_budgets(connection, workspace_id, row.name),
            groups=_groups(connection, workspace_id),
            project_headers=tuple(settings.project_headers or ()) if settings else (),
            metadata_days=settings.metadata_days if settings else 0,
        )

    def _credentials(self, connection: Connection, workspace_id: WorkspaceId) -> KnownCredentials:
        table = provider_credentials
        rows = connection.execute(select(table).where(table.c.workspace_id == workspace_id).order_by(table.c.id))
        return KnownCredentials(
            credentials=tuple(
                KnownCredential(
                    id=row.id,
                    provider=row.provider,
                    name=row.name,
                    base_url=row.base_url,
                    sealed=row.sealed,
                    data_key=row.data_key,
                )
                for row in rows
            )
        )

    def _member(self, connection: Connection, key: ProjectionKey) -> KnownMember | None:
        # Selects by workspace and account, which are the row's key, not by id.
        query = (
            select(members.c.id, members.c.role, workspaces.c.name, accounts.c.email)
            .join(workspaces, workspaces.c.id == members.c.workspace_id)
            .join(accounts, accounts.c.id == members.c.account_id)
            .where(members.c.workspace_id == key.workspace_id, members.c.account_id == key.account_id)
            .where(members.c.removed_at.is_(None), *_ALIVE)
        )
        row = connection.execute(query).first()
        if row is None:
            return None
        return KnownMember(
            id=row.id,
            account_id=key.account_id,
            workspace_id=key.workspace_id,
            role=row.role,
            email=row.email,
            workspace_name=row.name,
            budgets=_budgets(connection, key.workspace_id, [row.id], row.email),
            groups=_groups_of(connection, row.id),
        )

    def _service_account(self, connection: Connection, key: ProjectionKey) -> KnownServiceAccount | None:
        query = select(service_accounts).where(
            service_accounts.c.id == key.id,
            service_accounts.c.disabled_at.is_(None),
            service_accounts.c.deleted_at.is_(None),
        )
        row = connection.execute(query).first()
        if row is None:
            return None
        own = _budgets(connection, row.workspace_id, [row.id], row.name)
        return KnownServiceAccount(id=row.id, workspace_id=row.workspace_id, name=row.name, budgets=own)

    def _key(self, connection: Connection, digest: str) -> KnownKey | None:
        now = utc_now()
        query = (
            select(keys, members.c.account_id)
            .outerjoin(members, members.c.id == keys.c.member_id)
            .where(keys.c.hash == bytes.fromhex(digest), keys.c.revoked_at.is_(None))
        )
        row = connection.execute(query).first()
        if row is None or (row.expires_at is not None and row.expires_at <= now):
            return None
        return KnownKey(
            id=row.id,
            workspace_id=row.workspace_id,
            account_id=AccountId(row.account_id or ""),
            member_id=MemberId(row.member_id or ""),
            service_account_id=ServiceAccountId(row.service_account_id or ""),
            name=row.name,
            scopes=frozenset(row.scopes),
            models=None if row.models is None else tuple(row.models),
            networks=None if row.networks is None else tuple(row.networks),
            expires_at=None if row.expires_at is None else int(row.expires_at.replace(tzinfo=UTC).timestamp()),
            budgets=_budgets(connection, row.workspace_id, _successors(connection, row.id, row.replaced_by), row.name),
        )


def _budgets(
    connection: Connection, workspace_id: WorkspaceId, subjects: Sequence[str], name: str
) -> tuple[KnownBudget, ...]:
    """Return the budgets of a subject, with the subject's name in messages."""
    conditions = (budgets.c.workspace_id == workspace_id, budgets.c.subject_id.in_(subjects))
    rows = connection.execute(select(budgets).where(*conditions).order_by(budgets.c.id))
    return tuple(_known(row, name) for row in rows)


def _workspace_budgets(connection: Connection, workspace_id: WorkspaceId, name: str) -> tuple[KnownBudget, ...]:
    """Return the budgets of a workspace, of each member, and of projects and groups, for which no row is projected."""
    own = or_(budgets.c.subject_id == "", budgets.c.scope.in_(_IN_WORKSPACE))
    query = select(budgets, member_groups.c.name.label("group")).where(budgets.c.workspace_id == workspace_id, own)
    query = query.outerjoin(member_groups, member_groups.c.id == budgets.c.subject_id).order_by(budgets.c.id)

    def shown(row: Row[Any]) -> str:
        if row.scope == BudgetScope.PROJECT:
            return f"project {row.subject_id}"
        if row.group is not None:
            return row.group
        # Each member's counter gets the member's own name at the call.
        return "" if row.scope == BudgetScope.EACH_MEMBER else name

    return tuple(_known(row, shown(row)) for row in connection.execute(query))


def _groups(connection: Connection, workspace_id: WorkspaceId) -> tuple[KnownGroup, ...]:
    """Return the groups of a workspace that have rules for models."""
    query = select(member_groups).where(
        member_groups.c.workspace_id == workspace_id, member_groups.c.models.is_not(None)
    )
    return tuple(
        KnownGroup(id=row.id, name=row.name, models=msgspec.convert(row.models, EnforcedRules))
        for row in connection.execute(query.order_by(member_groups.c.id))
    )


def _groups_of(connection: Connection, member_id: MemberId) -> tuple[GroupId, ...]:
    query = select(group_members.c.group_id).where(group_members.c.member_id == member_id)
    return tuple(connection.execute(query.order_by(group_members.c.group_id)).scalars())


def _known(row: Row[Any], name: str) -> KnownBudget:
    return KnownBudget(
        id=row.id,
        scope=BudgetScope(row.scope),
        unit=BudgetUnit(row.unit),
        period=BudgetPeriod(row.period),
        limit=row.amount,
        subject=row.subject_id,
        name=name,
        alerts=bool(row.alerts),
        ends=msgspec.convert(row.ends or (), tuple[CreditEnd, ...]),
    )


def _successors(connection: Connection, key_id: KeyId, next_key: str | None) -> Sequence[str]:
    """Return a key and its replacements. The last one has the budgets, and all that are still valid share them."""
    successors = [key_id]
    while next_key is not None:
        successors.append(KeyId(next_key))
        next_key = connection.execute(select(keys.c.replaced_by).where(keys.c.id == next_key)).scalar()
    return successors


def _member_key(row: Any) -> ProjectionKey:
    return ProjectionKey(ProjectionKind.MEMBER, row.id, row.workspace_id, row.account_id)


def _pages(connection: Connection, query: Any, key: Column[str]) -> Iterator[Sequence[Any]]:
    last = ""
    while page := connection.execute(query.where(key > last).order_by(key).limit(PAGE)).all():
        yield page
        last = page[-1].id
