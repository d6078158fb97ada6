"""Process messages of the audit queue: entries of the planes without SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.models import AuditRecord
from opencode_cloud.kit.batches import PartialBatch

if TYPE_CHECKING:
    from opencode_cloud.audit.store import AuditArchive


class AuditDeliveries:
    """Writes entries from the queue, each once, even when its message is delivered several times."""

    def __init__(self, archive: AuditArchive) -> None:
        self._batch = PartialBatch(AuditRecord, archive.add_once)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Write the entries of a batch; return the messages that SQS must deliver again."""
        return self._batch.handle(event)
