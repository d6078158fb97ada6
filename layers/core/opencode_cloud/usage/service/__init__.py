"""Rules of usage."""

from opencode_cloud.usage.service.exporting import Exporting, Exports
from opencode_cloud.usage.service.ingesting import Ingest
from opencode_cloud.usage.service.reading import Reading
from opencode_cloud.usage.service.reconciling import Reconciliation
from opencode_cloud.usage.service.retention import Retention

__all__ = ["Exporting", "Exports", "Ingest", "Reading", "Reconciliation", "Retention"]
