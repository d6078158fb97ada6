"""Delete expired usage. Sums by hour and day stay as long as their workspace exists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.housekeeping import ItemRuns

if TYPE_CHECKING:
    from opencode_cloud.usage.store.purges import PurgeStore
    from opencode_cloud.usage.store.table import UsageTable

DEFAULT_DAYS = 400
MOST_BATCHES = 500
"""Batches per workspace and kind in one night: half a million events. The next nights delete the rest."""
COUNTERS = timedelta(days=60)
"""The retention of counters' sums after their comparison. Events may still be replayed in this time."""


class Retention:
    """Deletes expired events, metadata and sums of sessions, and all rows of deleted workspaces."""

    def __init__(self, store: PurgeStore, table: UsageTable, days: int = DEFAULT_DAYS) -> None:
        """Keep events for ``days``."""
        self._store = store
        self._table = table
        self._kept = timedelta(days=days)

    def run(self) -> int:
        """Delete expired rows; return their number.

        Raises :class:`ItemsFailed` if some workspaces failed. Those of the others are deleted.
        """
        existing = self._store.existing()
        runs = ItemRuns()
        for workspace in self._store.users():
            runs.run(workspace, partial(self._delete, WorkspaceId(workspace), existing.get(workspace)))
        log.count("UsageRowsPurged", runs.total)
        runs.check()
        return runs.total

    def _delete(self, workspace_id: WorkspaceId, metadata_days: int | None) -> int:
        """Delete what is expired of a workspace that keeps metadata for so many days; None: all, it was deleted."""
        if metadata_days is None:
            return self._metadata(workspace_id, 0) + _batches(partial(self._store.purge_workspace, workspace_id))
        now = utc_now()
        before = now - self._kept
        deleted = self._metadata(workspace_id, min(metadata_days, self._kept.days))
        for purge in (self._store.purge_events, self._store.purge_sessions, self._store.purge_session_months):
            deleted += _batches(partial(purge, workspace_id, before))
        return deleted + _batches(partial(self._store.purge_counters, workspace_id, now - COUNTERS))

    def _metadata(self, workspace_id: WorkspaceId, days: int) -> int:
        """Remove metadata older than ``days``. Delete from DynamoDB first, because SQL holds the keys of its rows."""
        before = utc_now() - timedelta(days=days)

        def batch() -> int:
            calls = self._store.metadata(workspace_id, before)
            if calls:
                self._table.remove_metadata([(workspace_id, f"{at:%Y-%m-%d}", call) for call, at in calls])
                self._store.purge_metadata([call for call, _ in calls])
            return len(calls)

        return _batches(batch)


def _batches(batch: Callable[[], int]) -> int:
    total = 0
    for _ in range(MOST_BATCHES):
        done = batch()
        total += done
        if not done:
            break
    return total
