"""The purge queue and the schedule to the services of sharing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.store import PurgeRequest


class Purges:
    """Takes purge requests from the queue and ticks from the schedule."""

    def __init__(self, deletion: ShareDeletion) -> None:
        self._deletion = deletion
        self._batch = PartialBatch(PurgeRequest, self._purge)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Purge the shares that the batch names. Return the messages that must be redelivered."""
        if "Records" not in event:
            self._deletion.sweep()
            return {}
        return self._batch.handle(event)

    def _purge(self, request: PurgeRequest) -> None:
        if request.workspace_id:
            self._deletion.remove_workspace(request.workspace_id)
        else:
            self._deletion.purge(request.share_id, request.round)
