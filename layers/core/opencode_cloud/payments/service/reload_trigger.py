"""Begin a reload in the transaction that sees the balance fall below its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.outbox import Topic

if TYPE_CHECKING:
    from opencode_cloud.outbox.service import UnitOfWork
    from opencode_cloud.payments.store.auto_reloads import AutoReloadStore


class ReloadTrigger:
    """Takes the lease of a charge. It needs no library of Stripe: the function ``payments`` charges later."""

    def __init__(self, reloads: AutoReloadStore) -> None:
        self._reloads = reloads

    def watch(self, unit: UnitOfWork, available: Mapping[WorkspaceId, int]) -> None:
        """Take the lease of each workspace whose balance (micro-cents) is below its threshold, and send a message."""
        if not available:
            return
        for workspace_id in self._reloads.crossed(unit.connection, available):
            unit.emit(Topic.RELOAD, workspace_id)
