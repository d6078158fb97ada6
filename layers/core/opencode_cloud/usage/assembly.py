"""Puts the services of usage together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.usage.service import Exporting, Exports, Ingest, Reading
from opencode_cloud.usage.store import parquet
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.exports import ExportFiles, ExportQueue, ExportStore
from opencode_cloud.usage.store.figures import Figures
from opencode_cloud.usage.store.ledger import Ledger

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that is done with usage."""

    ingest: Ingest
    reading: Reading
    exports: Exports
    exporting: Exporting

    @classmethod
    def over(
        cls, database: Database, outbox: Outbox, audit: AuditTrail, *, exports_queue: str, exports_bucket: str
    ) -> Books:
        """Put the services together over a database; what a function does not use may be empty."""
        archive, exports = EventArchive(database), ExportStore(database)
        queue, files = ExportQueue(exports_queue), ExportFiles(exports_bucket)
        return cls(
            ingest=Ingest(Ledger(database)),
            reading=Reading(Figures(database), archive),
            exports=Exports(outbox, audit, exports, queue, files),
            exporting=Exporting(outbox, exports, queue, archive, files, parquet.convert),
        )
