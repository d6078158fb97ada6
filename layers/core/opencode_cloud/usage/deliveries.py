"""Handle messages of the queue of exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.kit.errors import Redeliver
from opencode_cloud.usage.models import ExportRequest

if TYPE_CHECKING:
    from opencode_cloud.usage.service import ExportWriter

MOST_ATTEMPTS = 4
"""The number of receives of a message after which its export is marked as failed."""


class ExportDeliveries:
    """Continues the exports of a batch."""

    def __init__(self, writer: ExportWriter) -> None:
        self._writer = writer
        self._batch = PartialBatch(ExportRequest, self._resume, max_receives=MOST_ATTEMPTS, on_exhausted=self._fail)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Continue each export; return the messages that the queue must deliver again."""
        return self._batch.handle(event)

    def _resume(self, request: ExportRequest) -> None:
        if not self._writer.resume(request):
            raise Redeliver("the export's row is not committed yet")

    def _fail(self, request: ExportRequest) -> None:
        self._writer.fail(request)
