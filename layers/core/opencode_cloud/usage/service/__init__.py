"""Rules of usage."""

from opencode_cloud.usage.service.breakdowns import Breakdowns
from opencode_cloud.usage.service.cache_misses import CacheMisses
from opencode_cloud.usage.service.exporting import ExportService, ExportWriter
from opencode_cloud.usage.service.ingesting import Ingest
from opencode_cloud.usage.service.reader import UsageReader
from opencode_cloud.usage.service.reconciling import Reconciliation
from opencode_cloud.usage.service.retention import Retention

__all__ = [
    "Breakdowns",
    "CacheMisses",
    "ExportService",
    "ExportWriter",
    "Ingest",
    "Reconciliation",
    "Retention",
    "UsageReader",
]
