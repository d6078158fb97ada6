"""Search all workspaces and all people of a deployment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, or_, select

from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.workspaces import members, workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database

PAGE_SIZE = 50


class FoundWorkspace(msgspec.Struct, frozen=True):
    """A workspace in a list."""

    id: WorkspaceId
    name: str
    members: int
    created_at: datetime
    blocked_at: datetime | None
    deleted_at: datetime | None


class FoundPerson(msgspec.Struct, frozen=True):
    """A person in a list."""

    id: AccountId
    email: str
    name: str
    created_at: datetime
    blocked_at: datetime | None


class DirectoryStore:
    """Lists, the newest first. Ids begin with their time, so the last id of a page leads to the next page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def workspaces(self, words: str, after: str) -> list[FoundWorkspace]:
        """Return a page of workspaces, and one more if there are more; ``words`` are an id or a part of the name."""
        table = workspaces.c
        count = select(func.count()).where(members.c.workspace_id == table.id).scalar_subquery()
        query = select(table.id, table.name, count, table.created_at, table.blocked_at, table.deleted_at)
        if words:
            query = query.where(or_(table.id == words, table.name.contains(words, autoescape=True)))
        return [FoundWorkspace(*row) for row in self._page(query, table.id, after)]

    def people(self, words: str, after: str) -> list[FoundPerson]:
        """Return a page of people, and one more if there are more; ``words``: an id, or a part of address or name."""
        table = accounts.c
        query = select(table.id, table.email, table.name, table.created_at, table.blocked_at)
        if words:
            known = (column.contains(words, autoescape=True) for column in (table.email, table.name))
            query = query.where(or_(table.id == words, *known))
        return [FoundPerson(*row) for row in self._page(query, table.id, after)]

    def _page(self, query: Any, id_column: Any, after: str) -> list[Any]:
        if after:
            query = query.where(id_column < after)
        with self._database.transaction() as connection:
            rows: Any = connection.execute(query.order_by(id_column.desc()).limit(PAGE_SIZE + 1)).all()
            return rows
