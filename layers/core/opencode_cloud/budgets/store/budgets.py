"""Budgets, grants and settings in MySQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import case, delete, func, or_, select, update

from opencode_cloud.budgets.models.documents import BalanceGrant, Budget, BudgetFilter, Subject, UsageSettings
from opencode_cloud.contracts.budgets import OF_GROUPS, BudgetScope, CreditEnd
from opencode_cloud.contracts.ids import AccountId, BudgetId, GroupId, MemberId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.schema.budgets import balance_grants, budgets, usage_settings
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.workspaces import group_members, member_groups, members, service_accounts, workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_PROJECT = case((budgets.c.scope == BudgetScope.PROJECT, budgets.c.subject_id))
_BUDGET = (
    select(
        budgets.c.id,
        budgets.c.scope,
        func.nullif(budgets.c.subject_id, "").label("subject_id"),
        # The project first: its name is free text, and may look like the id of something else.
        func.coalesce(_PROJECT, accounts.c.email, service_accounts.c.name, keys.c.name, member_groups.c.name).label(
            "subject"
        ),
        budgets.c.unit,
        budgets.c.period,
        budgets.c.amount.label("limit"),
        budgets.c.ends,
        budgets.c.alerts,
        budgets.c.version,
        budgets.c.created_by,
        budgets.c.created_at,
        budgets.c.updated_at,
    )
    .outerjoin(members, members.c.id == budgets.c.subject_id)
    .outerjoin(accounts, accounts.c.id == members.c.account_id)
    .outerjoin(service_accounts, service_accounts.c.id == budgets.c.subject_id)
    .outerjoin(keys, keys.c.id == budgets.c.subject_id)
    .outerjoin(member_groups, member_groups.c.id == budgets.c.subject_id)
)


class BudgetStore:
    """The tables ``budgets``, ``balance_grants`` and ``usage_settings``."""

    def lock(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        """Lock a workspace's members, service accounts, keys and budgets against changes until the transaction ends.

        This locks the workspace's row before any other row, as every change of its members does.
        """
        connection.execute(select(workspaces.c.id).where(workspaces.c.id == workspace_id).with_for_update())

    def add(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Write a new budget."""
        connection.execute(budgets.insert(), dict(row))

    def change(self, connection: Connection, budget_id: BudgetId, values: Mapping[str, Any], at: datetime) -> None:
        """Set columns of a budget and increment its version."""
        changed = {**values, "version": budgets.c.version + 1, "updated_at": at}
        connection.execute(update(budgets).where(budgets.c.id == budget_id).values(changed))

    def delete(self, connection: Connection, budget_id: BudgetId) -> None:
        """Delete a budget."""
        connection.execute(delete(budgets).where(budgets.c.id == budget_id))

    def get(self, connection: Connection, workspace_id: WorkspaceId, budget_id: BudgetId) -> Budget | None:
        """Return a budget of a workspace; None when it does not exist."""
        row = connection.execute(
            _BUDGET.where(budgets.c.id == budget_id, budgets.c.workspace_id == workspace_id)
        ).first()
        return Budget.model_validate(row) if row else None

    def same(
        self, connection: Connection, workspace_id: WorkspaceId, scope: str, subject: str, unit: str, period: str
    ) -> bool:
        """Return whether there is a budget of this subject, unit and period."""
        query = select(budgets.c.id).where(
            budgets.c.workspace_id == workspace_id,
            budgets.c.scope == scope,
            budgets.c.subject_id == subject,
            budgets.c.unit == unit,
            budgets.c.period == period,
        )
        return connection.execute(query).first() is not None

    def count(self, connection: Connection, workspace_id: WorkspaceId, scopes: Collection[BudgetScope] = ()) -> int:
        """Count the budgets of a workspace: all, or those of some scopes."""
        query = select(func.count()).select_from(budgets).where(budgets.c.workspace_id == workspace_id)
        if scopes:
            query = query.where(budgets.c.scope.in_(scopes))
        return connection.execute(query).scalar_one()

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        criteria: BudgetFilter,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Budget]:
        """Return budgets of a workspace, ordered by id."""
        query = _BUDGET.where(budgets.c.workspace_id == workspace_id)
        if criteria.scope is not None:
            query = query.where(budgets.c.scope == criteria.scope)
        if criteria.subject is not None:
            query = query.where(budgets.c.subject_id == criteria.subject)
        if criteria.visible_to is not None:
            query = query.where(_bounds(criteria.visible_to))
        if after is not None:
            query = query.where(budgets.c.id > after)
        return [Budget.model_validate(row) for row in connection.execute(query.order_by(budgets.c.id).limit(limit))]

    def visible(self, connection: Connection, budget_id: BudgetId, subject: str) -> bool:
        """Return whether a budget applies to a member or service account, or to one of their keys."""
        query = select(budgets.c.id).outerjoin(keys, keys.c.id == budgets.c.subject_id)
        return connection.execute(query.where(budgets.c.id == budget_id, _bounds(subject))).first() is not None

    # ------------------------------------------------------------------------------------- subjects

    def subject(
        self, connection: Connection, workspace_id: WorkspaceId, scope: BudgetScope, subject: str
    ) -> Subject | None:
        """Return the subject of a budget of this scope; None when the subject no longer exists."""
        match scope:
            case BudgetScope.MEMBER:
                return self._member(connection, workspace_id, MemberId(subject))
            case BudgetScope.SERVICE_ACCOUNT:
                return self._service_account(connection, workspace_id, AccountId(subject))
            case BudgetScope.KEY:
                return self._key(connection, workspace_id, subject)
            case BudgetScope.PROJECT:
                return Subject(subject, Topic.BUDGETS, ((workspace_id, None),))
            case BudgetScope.GROUP | BudgetScope.EACH_IN_GROUP:
                return self._group(connection, workspace_id, GroupId(subject))
            case BudgetScope.SESSION:
                return None
            case BudgetScope.WORKSPACE | BudgetScope.EACH_MEMBER | BudgetScope.BALANCE:
                name = connection.execute(select(workspaces.c.name).where(workspaces.c.id == workspace_id)).scalar_one()
                return Subject(name, Topic.BUDGETS, ((workspace_id, None),))

    def most_of_groups(self, connection: Connection, group_id: GroupId) -> int:
        """Return the largest number of budgets that a member of a group has by all of their groups."""
        inside = select(group_members.c.member_id).where(group_members.c.group_id == group_id)
        counted = (
            select(func.count().label("count"))
            .select_from(group_members.join(budgets, budgets.c.subject_id == group_members.c.group_id))
            .where(group_members.c.member_id.in_(inside), budgets.c.scope.in_(OF_GROUPS))
            .group_by(group_members.c.member_id)
            .subquery()
        )
        return connection.execute(select(func.coalesce(func.max(counted.c.count), 0))).scalar_one()

    def account_of(self, connection: Connection, workspace_id: WorkspaceId, member_id: MemberId) -> AccountId | None:
        """Return the account of a member of a workspace; None when there is no such member."""
        query = select(members.c.account_id).where(
            members.c.id == member_id, members.c.workspace_id == workspace_id, members.c.removed_at.is_(None)
        )
        return connection.execute(query).scalar()

    def groups_of(self, connection: Connection, member_id: MemberId) -> frozenset[str]:
        """Return the ids of a member's groups."""
        query = select(group_members.c.group_id).where(group_members.c.member_id == member_id)
        return frozenset(connection.execute(query).scalars())

    def members_of(
        self, connection: Connection, workspace_id: WorkspaceId, after: str | None, limit: int, group: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """Return ids and email addresses of members, all or those of a group, ordered by id."""
        query = select(members.c.id, accounts.c.email).join(accounts, accounts.c.id == members.c.account_id)
        if group is not None:
            query = query.join(group_members, group_members.c.member_id == members.c.id)
            query = query.where(group_members.c.group_id == group)
        query = query.where(members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
        if after is not None:
            query = query.where(members.c.id > after)
        return [(row.id, row.email) for row in connection.execute(query.order_by(members.c.id).limit(limit))]

    def forget(self, connection: Connection, subjects: Sequence[str], now: datetime) -> int:
        """Delete the budgets of removed subjects; return their number.

        The budgets of a key stay while a key that it replaced is still valid, because both share them.
        """
        older = keys.alias("older")
        alive = or_(older.c.expires_at.is_(None), older.c.expires_at > now)
        shared = select(older.c.replaced_by).where(
            older.c.replaced_by.in_(subjects), older.c.revoked_at.is_(None), alive
        )
        still_shared = set(connection.execute(shared).scalars())
        unshared = [subject for subject in subjects if subject not in still_shared]
        return connection.execute(delete(budgets).where(budgets.c.subject_id.in_(unshared))).rowcount if unshared else 0

    def hand_over(self, connection: Connection, old: str, new: str) -> None:
        """Move the budgets of a key to the key that replaces it."""
        connection.execute(update(budgets).where(budgets.c.subject_id == old).values(subject_id=new))

    def _member(self, connection: Connection, workspace_id: WorkspaceId, member_id: MemberId) -> Subject | None:
        query = (
            select(accounts.c.email, accounts.c.id)
            .join(members, members.c.account_id == accounts.c.id)
            .where(members.c.id == member_id, members.c.workspace_id == workspace_id, members.c.removed_at.is_(None))
        )
        row = connection.execute(query).first()
        if row is None:
            return None
        return Subject(row.email, Topic.MEMBER, ((member_id, {"workspace": workspace_id, "account": row.id}),))

    def _group(self, connection: Connection, workspace_id: WorkspaceId, group_id: GroupId) -> Subject | None:
        table = member_groups.c
        query = select(table.name).where(table.id == group_id, table.workspace_id == workspace_id)
        name = connection.execute(query).scalar()
        return None if name is None else Subject(name, Topic.BUDGETS, ((workspace_id, None),))

    def _service_account(
        self, connection: Connection, workspace_id: WorkspaceId, account_id: AccountId
    ) -> Subject | None:
        table = service_accounts.c
        query = select(table.name).where(
            table.id == account_id, table.workspace_id == workspace_id, table.deleted_at.is_(None)
        )
        name = connection.execute(query).scalar()
        return (
            None if name is None else Subject(name, Topic.SERVICE_ACCOUNT, ((account_id, {"workspace": workspace_id}),))
        )

    def _key(self, connection: Connection, workspace_id: WorkspaceId, key: str) -> Subject | None:
        columns = (keys.c.id, keys.c.name, keys.c.hash, keys.c.revoked_at)
        own = connection.execute(select(*columns).where(keys.c.id == key, keys.c.workspace_id == workspace_id)).first()
        if own is None:
            return None
        generations, latest = [own], [key]
        while latest:  # replaced keys share its budgets, even if it is revoked before them
            older = connection.execute(select(*columns).where(keys.c.replaced_by.in_(latest))).all()
            generations += older
            latest = [row.id for row in older]
        rows = tuple((row.id, {"hash": row.hash.hex()}) for row in generations if row.revoked_at is None)
        return Subject(own.name, Topic.KEY, rows) if rows else None

    # ------------------------------------------------------------------------------------- balance

    def balance(self, connection: Connection, workspace_id: WorkspaceId) -> Budget | None:
        """Return the budget that is the workspace's balance; None when there were no grants."""
        query = _BUDGET.where(budgets.c.workspace_id == workspace_id, budgets.c.scope == BudgetScope.BALANCE)
        row = connection.execute(query).first()
        return Budget.model_validate(row) if row else None

    def balances(
        self, connection: Connection, workspace_ids: Sequence[WorkspaceId]
    ) -> dict[WorkspaceId, tuple[BudgetId, int, tuple[CreditEnd, ...]]]:
        """Return the budgets that are balances of workspaces, with limits and ends; those without one are missing."""
        query = select(budgets.c.workspace_id, budgets.c.id, budgets.c.amount, budgets.c.ends).where(
            budgets.c.workspace_id.in_(workspace_ids), budgets.c.scope == BudgetScope.BALANCE
        )
        return {
            row.workspace_id: (row.id, row.amount, msgspec.convert(row.ends or (), tuple[CreditEnd, ...]))
            for row in connection.execute(query)
        }

    def grant(self, connection: Connection, workspace_id: WorkspaceId, key: str) -> BalanceGrant | None:
        """Return the grant with an idempotency key; None when there is none."""
        query = select(balance_grants).where(
            balance_grants.c.workspace_id == workspace_id, balance_grants.c.idempotency_key == key
        )
        row = connection.execute(query).first()
        return BalanceGrant.model_validate(row) if row else None

    def add_grant(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Write a grant."""
        connection.execute(balance_grants.insert(), dict(row))

    def grants(
        self, connection: Connection, workspace_id: WorkspaceId, before: str | None = None, limit: int | None = None
    ) -> Sequence[BalanceGrant]:
        """Return the grants to a workspace, the newest first."""
        query = select(balance_grants).where(balance_grants.c.workspace_id == workspace_id)
        if before is not None:
            query = query.where(balance_grants.c.id < before)
        rows = connection.execute(query.order_by(balance_grants.c.id.desc()).limit(limit))
        return [BalanceGrant.model_validate(row) for row in rows]

    def workspace_exists(self, connection: Connection, workspace_id: WorkspaceId) -> bool:
        """Return whether there is a workspace with this id that is not deleted."""
        query = select(workspaces.c.id).where(workspaces.c.id == workspace_id, workspaces.c.deleted_at.is_(None))
        return connection.execute(query).first() is not None

    # ------------------------------------------------------------------------------------- settings of usage

    def settings(self, connection: Connection, workspace_id: WorkspaceId) -> UsageSettings:
        """Return a workspace's settings of usage; the default is 0 days."""
        row = connection.execute(select(usage_settings).where(usage_settings.c.workspace_id == workspace_id)).first()
        if row is None:
            return UsageSettings(metadata_days=0)
        return UsageSettings(metadata_days=row.metadata_days, project_headers=row.project_headers or [])

    def set_settings(
        self, connection: Connection, workspace_id: WorkspaceId, settings: UsageSettings, by: str, at: datetime
    ) -> None:
        """Set a workspace's settings of usage."""
        values = {**settings.model_dump(), "updated_by": by, "updated_at": at}
        changed = connection.execute(
            update(usage_settings).where(usage_settings.c.workspace_id == workspace_id).values(values)
        )
        if not changed.rowcount:
            connection.execute(usage_settings.insert(), {"workspace_id": workspace_id, **values})


def _bounds(subject: str) -> Any:
    """Return the SQL condition that a budget applies to a member or service account, or to its keys.

    Those of a member's groups and of each member apply to the member too.
    """
    own = or_(keys.c.member_id == subject, keys.c.service_account_id == subject)
    each_member = (budgets.c.scope == BudgetScope.EACH_MEMBER) & (subject.startswith("mem_"))
    groups = select(group_members.c.group_id).where(group_members.c.member_id == subject)
    of_group = budgets.c.scope.in_(OF_GROUPS) & budgets.c.subject_id.in_(groups)
    return or_(budgets.c.subject_id == subject, own, each_member, of_group)
