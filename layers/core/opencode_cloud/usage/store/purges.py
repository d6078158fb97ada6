"""Delete expired rows in small batches, so that other transactions do not wait long for locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Table, select, tuple_, union

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.budgets import usage_settings
from opencode_cloud.schema.usage import (
    reconciliations,
    usage_breakdown_days,
    usage_breakdown_months,
    usage_counters,
    usage_days,
    usage_events,
    usage_hours,
    usage_metadata,
    usage_session_months,
    usage_sessions,
)
from opencode_cloud.schema.workspaces import workspaces
from opencode_cloud.usage.service.rollups import month_start

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database

AT_ONCE = 1000
ALL = (
    usage_events,
    usage_metadata,
    usage_sessions,
    usage_session_months,
    usage_hours,
    usage_days,
    usage_breakdown_days,
    usage_breakdown_months,
    usage_counters,
    reconciliations,
)
"""Tables with rows of workspaces."""


class PurgeStore:
    """Deletes rows of usage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def users(self) -> Sequence[str]:
        """Return the workspaces that have rows in any table."""
        query = union(*(select(table.c.workspace_id).distinct() for table in ALL))
        with self._database.transaction() as connection:
            return connection.execute(query).scalars().all()

    def existing(self) -> Mapping[str, int]:
        """Return the workspaces that exist, with the days for which each keeps metadata of calls."""
        query = select(workspaces.c.id, usage_settings.c.metadata_days).outerjoin(
            usage_settings, usage_settings.c.workspace_id == workspaces.c.id
        )
        with self._database.transaction() as connection:
            return {row.id: row.metadata_days or 0 for row in connection.execute(query)}

    def purge_events(self, workspace_id: WorkspaceId, before: datetime) -> int:
        """Delete one batch of a workspace's events from before a time; return their number."""
        return self._delete(usage_events, workspace_id, usage_events.c.at < before)

    def purge_sessions(self, workspace_id: WorkspaceId, before: datetime) -> int:
        """Delete one batch of a workspace's sums of sessions from before a time; return their number."""
        return self._delete(usage_sessions, workspace_id, usage_sessions.c.start < before)

    def purge_session_months(self, workspace_id: WorkspaceId, before: datetime) -> int:
        """Delete one batch of a workspace's sums of sessions by month, of months that were over at a time."""
        return self._delete(usage_session_months, workspace_id, usage_session_months.c.start < month_start(before))

    def purge_counters(self, workspace_id: WorkspaceId, before: datetime) -> int:
        """Delete one batch of sums of counters that were compared before a time; return their number."""
        return self._delete(usage_counters, workspace_id, usage_counters.c.reconciled_at < before)

    def metadata(self, workspace_id: WorkspaceId, before: datetime) -> Sequence[tuple[str, datetime]]:
        """Return one batch of a workspace's events (id, arrival) from before a time that still have metadata."""
        column = usage_metadata.c
        query = select(column.event_id, column.at).where(column.workspace_id == workspace_id, column.at < before)
        with self._database.transaction() as connection:
            return [(row.event_id, row.at) for row in connection.execute(query.limit(AT_ONCE))]

    def purge_metadata(self, events: Sequence[str]) -> None:
        """Delete the metadata of events."""
        with self._database.transaction() as connection:
            connection.execute(usage_metadata.delete().where(usage_metadata.c.event_id.in_(events)))

    def purge_workspace(self, workspace_id: WorkspaceId) -> int:
        """Delete one batch of a workspace's rows from each table; return their number.

        Metadata is left out: its rows hold the keys of the metadata in DynamoDB, which must be deleted first.
        """
        return sum(self._delete(table, workspace_id) for table in ALL if table is not usage_metadata)

    def _delete(self, table: Table, workspace_id: WorkspaceId, *conditions: object) -> int:
        keys = list(table.primary_key)
        query = select(*keys).where(table.c.workspace_id == workspace_id, *conditions).limit(AT_ONCE)  # pyright: ignore[reportArgumentType]
        with self._database.transaction() as connection:
            # Two statements, because MySQL does not support LIMIT in a subquery of IN.
            if rows := [tuple(row) for row in connection.execute(query)]:
                connection.execute(table.delete().where(tuple_(*keys).in_(rows)))
        return len(rows)
