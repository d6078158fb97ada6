"""Read and change a workspace's settings of usage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.budgets.models.documents import UsageSettings, invalid_header
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.projects import is_project_header
from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


class UsageSettingsService:
    """Rules of the settings of usage."""

    def __init__(self, database: Database, outbox: Outbox, audit: AuditTrail, store: BudgetStore) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit
        self._store = store

    def get(self, workspace_id: WorkspaceId) -> UsageSettings:
        """Return the settings. Metadata is not kept unless the workspace has set ``metadata_days``."""
        with self._database.transaction() as connection:
            return self._store.settings(connection, workspace_id)

    def change(
        self, actor: Actor, workspace_id: WorkspaceId, days: int, headers: Sequence[str] | None = None
    ) -> UsageSettings:
        """Keep client, user agent and address of calls for ``days``; 0: never. Takes effect within seconds.

        ``headers`` are those in which clients name their project; None leaves them as they are. Raises
        ``invalid_header``.
        """
        chosen = None if headers is None else list(dict.fromkeys(header.lower() for header in headers))
        if wrong := next((name for name in chosen or () if not is_project_header(name)), None):
            raise invalid_header(wrong)
        with self._outbox.unit() as unit:
            self._store.lock(unit.connection, workspace_id)
            before = self._store.settings(unit.connection, workspace_id)
            kept = before.project_headers if chosen is None else chosen
            after = UsageSettings(metadata_days=days, project_headers=kept)
            self._store.set_settings(unit.connection, workspace_id, after, actor.name, utc_now())
            unit.emit(Topic.BUDGETS, workspace_id)
            self._audit.record(
                unit.connection,
                actor,
                "usage_settings.updated",
                Target("workspace", workspace_id),
                workspace_id=workspace_id,
                before=before.model_dump(),
                after=after.model_dump(),
            )
        return after
