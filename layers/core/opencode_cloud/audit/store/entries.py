"""Audit entries in MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.exc import IntegrityError

from opencode_cloud.audit.models import AuditFilter, AuditRecord
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.workspaces import workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

_DUPLICATE = 1062
"""MySQL's code for a second row with the same key."""

PURGE_BATCH = 1000


class AuditStore:
    """Adds to the table ``audit_entries``."""

    def add(self, connection: Connection, entry: AuditRecord) -> None:
        """Write an entry in the transaction of ``connection``."""
        connection.execute(audit_entries.insert(), msgspec.structs.asdict(entry))


class AuditArchive:
    """The table ``audit_entries``. Rows are read, and deleted after their retention; never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_once(self, entry: AuditRecord) -> None:
        """Write an entry, unless the table has one with its id."""
        try:
            with self._database.transaction() as connection:
                AuditStore().add(connection, entry)
        except IntegrityError as error:
            if error.orig is None or error.orig.args[0] != _DUPLICATE:
                raise

    def find(
        self, workspace_id: WorkspaceId, entry_filter: AuditFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[AuditRecord]:
        """Return entries of a workspace, the newest first, that follow the key ``after``."""
        column = audit_entries.c
        query = select(audit_entries).where(column.workspace_id == workspace_id, *_conditions(entry_filter))
        if after is not None:
            at, entry_id = after
            query = query.where(or_(column.at < at, and_(column.at == at, column.id < entry_id)))
        query = query.order_by(column.at.desc(), column.id.desc()).limit(limit)
        with self._database.transaction() as connection:
            return [AuditRecord(**row) for row in connection.execute(query).mappings()]

    def retentions(self, shortened_before: datetime) -> Sequence[tuple[str, int]]:
        """Return workspaces with the retention of their entries in days.

        Left out are workspaces whose retention was shortened since ``shortened_before``.
        """
        shortened = workspaces.c.audit_retention_shortened_at
        query = select(workspaces.c.id, workspaces.c.audit_retention_days)
        query = query.where(or_(shortened.is_(None), shortened < shortened_before))
        with self._database.transaction() as connection:
            return [(row.id, row.audit_retention_days) for row in connection.execute(query)]

    def purge(self, workspace_id: WorkspaceId, before: datetime) -> int:
        """Delete one batch of a workspace's entries that are older than ``before``; return how many."""
        return self._purge(select(audit_entries.c.id).where(audit_entries.c.workspace_id == workspace_id), before)

    def purge_homeless(self, before: datetime) -> int:
        """Delete one batch of old entries of no workspace, or of a purged one; return how many."""
        query = (
            select(audit_entries.c.id)
            .outerjoin(workspaces, workspaces.c.id == audit_entries.c.workspace_id)
            .where(workspaces.c.id.is_(None))
        )
        return self._purge(query, before)

    def _purge(self, query: Any, before: datetime) -> int:
        query = query.where(audit_entries.c.at < before).order_by(audit_entries.c.at).limit(PURGE_BATCH)
        with self._database.transaction() as connection:
            ids = connection.execute(query).scalars().all()
            if ids:
                connection.execute(audit_entries.delete().where(audit_entries.c.id.in_(ids)))
        return len(ids)


def _conditions(entry_filter: AuditFilter) -> list[ColumnElement[bool]]:
    column = audit_entries.c
    conditions: list[ColumnElement[bool]] = []
    if entry_filter.actor:
        conditions.append(or_(column.actor_id == entry_filter.actor, column.actor_name == entry_filter.actor))
    if entry_filter.action:
        prefix = entry_filter.action.removesuffix("*")
        same = column.action.startswith(prefix, autoescape=True) if entry_filter.action != prefix else None
        conditions.append(column.action == entry_filter.action if same is None else same)
    if entry_filter.target:
        conditions.append(or_(column.target_id == entry_filter.target, column.target_name == entry_filter.target))
    if entry_filter.since:
        conditions.append(column.at >= entry_filter.since)
    if entry_filter.until:
        conditions.append(column.at < entry_filter.until)
    return conditions
