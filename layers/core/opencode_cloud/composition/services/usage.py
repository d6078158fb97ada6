"""Builds the services of usage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.catalogue.service.prices import PriceHistory
from opencode_cloud.catalogue.store.versions import VersionStore
from opencode_cloud.kit.housekeeping import Housekeeping
from opencode_cloud.usage.service import (
    Breakdowns,
    CacheMisses,
    ExportService,
    ExportWriter,
    Ingest,
    Reconciliation,
    Retention,
    UsageReader,
)
from opencode_cloud.usage.service.retention import DEFAULT_DAYS
from opencode_cloud.usage.store import parquet
from opencode_cloud.usage.store.breakdowns import BreakdownStore
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
    from opencode_cloud.usage.service.ingesting import Settlement


class UsageResources(msgspec.Struct, frozen=True, kw_only=True):
    """Tables, queue and bucket of usage beside the database; those that a function does not use are empty."""

    usage_table: str = ""
    budgets_table: str = ""
    exports_queue: str = ""
    exports_bucket: str = ""
    retention_days: int = DEFAULT_DAYS


class UsageServices(msgspec.Struct, frozen=True):
    """The services of usage."""

    ingest: Ingest
    reader: UsageReader
    cache_misses: CacheMisses
    exports: ExportService
    exporting: ExportWriter
    reconciliation: Reconciliation
    breakdowns: Breakdowns
    retention: Retention

    @classmethod
    def over(
        cls,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        resources: UsageResources,
        settlement: Settlement | None = None,
    ) -> UsageServices:
        """Build the services over a database; ``settlement`` charges the events that they ingest."""
        archive, exports = EventArchive(database), ExportStore(database)
        queue, files = ExportQueue(resources.exports_queue), ExportFiles(resources.exports_bucket)
        table, ingest = UsageTable(resources.usage_table), Ingest(Ledger(database), settlement)
        counters = CounterTable(resources.budgets_table)
        return cls(
            ingest=ingest,
            reader=UsageReader(Figures(database), archive),
            cache_misses=CacheMisses(archive, PriceHistory(VersionStore(database))),
            exports=ExportService(outbox, audit, exports, queue, files),
            exporting=ExportWriter(outbox, exports, queue, archive, files, parquet.convert),
            reconciliation=Reconciliation(CheckStore(database), table, counters, ingest),
            breakdowns=Breakdowns(BreakdownStore(database)),
            retention=Retention(PurgeStore(database), table, resources.retention_days),
        )

    def nightly(self, others: Mapping[str, Callable[[], int]]) -> Housekeeping:
        """Return the nightly jobs. Reconciliation adds missing events before exports and ``others`` read them."""
        return Housekeeping(
            {
                "reconciliation": self.reconciliation.run,
                "breakdowns": self.breakdowns.run,
                **others,
                "scheduled exports": self.exporting.make_scheduled,
                "usage": self.retention.run,
                "exports": self.exporting.purge,
            }
        )
