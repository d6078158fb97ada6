"""Messages of the audit queue: entries of the planes without SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.audit.models import Entry
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.audit.store import AuditArchive


class AuditDeliveries:
    """Writes entries that came through the queue, each once however often its message comes."""

    def __init__(self, archive: AuditArchive) -> None:
        self._archive = archive

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Write a batch; answer which messages are to come again."""
        failures: list[dict[str, str]] = []
        for message in event["Records"]:
            try:
                self._archive.add_once(msgspec.json.decode(message["body"], type=Entry))
            except Exception:  # noqa: BLE001 - one bad entry must not fail the batch; it is logged and comes again
                logger.exception("audit entry was not written")
                failures.append({"itemIdentifier": message["messageId"]})
        return {"batchItemFailures": failures}
