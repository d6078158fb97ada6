"""Puts the services of usage together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.kit import settings
from opencode_cloud.kit.housekeeping import Housekeeping
from opencode_cloud.usage.service import Exporting, Exports, Ingest, Reading, Reconciliation, Retention
from opencode_cloud.usage.service.retention import DEFAULT_DAYS
from opencode_cloud.usage.store import parquet
from opencode_cloud.usage.store.checks import CheckStore
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.exports import ExportFiles, ExportQueue, ExportStore
from opencode_cloud.usage.store.figures import Figures
from opencode_cloud.usage.store.ledger import Ledger
from opencode_cloud.usage.store.purges import PurgeStore
from opencode_cloud.usage.store.table import CounterTable, UsageTable

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where usage is kept beside the database; what a function does not use is empty."""

    usage_table: str = ""
    budgets_table: str = ""
    exports_queue: str = ""
    exports_bucket: str = ""
    retention_days: int = DEFAULT_DAYS

    @classmethod
    def from_environment(cls) -> Places:
        """Return the places that the function's settings name."""
        return cls(
            usage_table=settings.text("USAGE_TABLE", ""),
            budgets_table=settings.text("BUDGETS_TABLE", ""),
            exports_queue=settings.text("EXPORTS_QUEUE_URL", ""),
            exports_bucket=settings.text("EXPORTS_BUCKET", ""),
            retention_days=settings.number("USAGE_RETENTION_DAYS", DEFAULT_DAYS),
        )


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that is done with usage."""

    ingest: Ingest
    reading: Reading
    exports: Exports
    exporting: Exporting
    reconciliation: Reconciliation
    retention: Retention

    @classmethod
    def over(cls, database: Database, outbox: Outbox, audit: AuditTrail, places: Places) -> Books:
        """Put the services together over a database."""
        archive, exports = EventArchive(database), ExportStore(database)
        queue, files = ExportQueue(places.exports_queue), ExportFiles(places.exports_bucket)
        table, ingest = UsageTable(places.usage_table), Ingest(Ledger(database))
        counters = CounterTable(places.budgets_table)
        return cls(
            ingest=ingest,
            reading=Reading(Figures(database), archive),
            exports=Exports(outbox, audit, exports, queue, files),
            exporting=Exporting(outbox, exports, queue, archive, files, parquet.convert),
            reconciliation=Reconciliation(CheckStore(database), table, counters, ingest),
            retention=Retention(PurgeStore(database), table, places.retention_days),
        )

    def nightly(self) -> Housekeeping:
        """Return what is done every night; what is missing is found before anything is exported."""
        return Housekeeping(
            {
                "reconciliation": self.reconciliation.run,
                "scheduled exports": self.exporting.make_scheduled,
                "usage": self.retention.run,
                "exports": self.exporting.purge,
            }
        )
