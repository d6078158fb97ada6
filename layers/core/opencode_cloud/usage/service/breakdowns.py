"""Rebuild breakdowns that lack calls, every night. A release before the breakdowns adds to the rollup by day only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.housekeeping import ItemRuns
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.retry import retry
from opencode_cloud.usage.service.ingesting import CONFLICTS, conflicted
from opencode_cloud.usage.service.rollups import day_start

if TYPE_CHECKING:
    from opencode_cloud.usage.store.breakdowns import BreakdownStore

DAYS = 35
"""Days that are compared each night: longer than a rollback to an earlier release lasts."""


class Breakdowns:
    """Compares breakdowns with the rollup by day, and rebuilds those that differ."""

    def __init__(self, store: BreakdownStore) -> None:
        self._store = store

    def run(self) -> int:
        """Rebuild days and months of all workspaces up to today; return the number of rebuilt ones.

        Raises :class:`ItemsFailed` if some workspaces failed. The others are rebuilt.
        """
        until = day_start(utc_now()) + timedelta(days=1)
        since = until - timedelta(days=DAYS)
        runs = ItemRuns()
        for workspace_id in self._store.workspaces(since):
            runs.run(workspace_id, partial(self._rebuild, workspace_id, since, until))
        count("BreakdownsRebuilt", runs.total)
        runs.check()
        return runs.total

    def _rebuild(self, workspace_id: WorkspaceId, since: datetime, until: datetime) -> int:
        days = self._store.stale_days(workspace_id, since, until)
        for day in days:
            _repeat(partial(self._store.rebuild_day, workspace_id, day))
        months = self._store.stale_months(workspace_id, since, until)
        for month in months:
            _repeat(partial(self._store.rebuild_month, workspace_id, month))
        sessions = self._store.stale_session_months(workspace_id, since, until)
        for month in sessions:
            _repeat(partial(self._store.rebuild_session_month, workspace_id, month))
        rebuilt = [f"{start:%Y-%m-%d}" for start in (*days, *months, *sessions)]
        if rebuilt:
            logger.warning("breakdowns rebuilt", extra={"workspace_id": workspace_id, "starts": rebuilt})
        return len(rebuilt)


def _repeat(rebuild: Callable[[], None]) -> None:
    retry(rebuild, CONFLICTS, Unavailable, when=conflicted)
