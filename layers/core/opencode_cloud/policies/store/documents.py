"""Versions of policies and of configuration documents in MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, select

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.ids import new_id
from opencode_cloud.policies.models import DocumentRevision, Version, Versioned
from opencode_cloud.schema.policies import configurations, policies
from opencode_cloud.schema.workspaces import workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

_TABLES: dict[Versioned, tuple[Table, str]] = {
    Versioned.POLICY: (policies, "pol"),
    Versioned.CONFIGURATION: (configurations, "cfg"),
}
_VERSION = ("version", "comment", "created_by", "created_at")


class DocumentStore:
    """The tables ``policies`` and ``configurations``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[Connection]:
        """Return a context manager that yields a connection inside a transaction."""
        return self._database.transaction()

    def lock(self, connection: Connection, workspace_id: WorkspaceId) -> bool:
        """Lock a workspace until the transaction ends; False when it does not exist."""
        query = select(workspaces.c.id).where(workspaces.c.id == workspace_id, workspaces.c.deleted_at.is_(None))
        return connection.execute(query.with_for_update()).first() is not None

    def latest(self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId) -> DocumentRevision | None:
        """Return the latest version; None when nothing was published."""
        table, _ = _TABLES[kind]
        query = select(table).where(table.c.workspace_id == workspace_id).order_by(table.c.version.desc()).limit(1)
        row = connection.execute(query).first()
        return _revision(row) if row else None

    def get(
        self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId, version: int
    ) -> DocumentRevision | None:
        """Return one version; None when it does not exist."""
        table, _ = _TABLES[kind]
        query = select(table).where(table.c.workspace_id == workspace_id, table.c.version == version)
        row = connection.execute(query).first()
        return _revision(row) if row else None

    def versions(
        self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId, before: int | None, limit: int
    ) -> Sequence[Version]:
        """Return versions without their contents, the latest first."""
        table, _ = _TABLES[kind]
        query = select(*(table.c[name] for name in _VERSION)).where(table.c.workspace_id == workspace_id)
        if before is not None:
            query = query.where(table.c.version < before)
        rows = connection.execute(query.order_by(table.c.version.desc()).limit(limit))
        return [Version.model_validate(dict(row)) for row in rows.mappings()]

    def add(
        self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId, revision: DocumentRevision
    ) -> None:
        """Insert a version. The caller must hold the lock of the workspace."""
        table, prefix = _TABLES[kind]
        row = {**{name: getattr(revision, name) for name in _VERSION}, "document": revision.document}
        connection.execute(table.insert(), {"id": new_id(prefix), "workspace_id": workspace_id, **row})


def _revision(row: Any) -> DocumentRevision:
    return DocumentRevision.model_validate(
        {**{name: getattr(row, name) for name in _VERSION}, "document": row.document}
    )
