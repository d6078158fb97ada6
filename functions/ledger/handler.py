"""Brings usage into the database, delivers alerts, writes exports, and reconciles every night."""

from typing import Any

from opencode_cloud.budgets.deliveries import AlertDeliveries
from opencode_cloud.composition import control_plane
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.queues import Dispatch
from opencode_cloud.usage.deliveries import ExportDeliveries
from opencode_cloud.usage.stream import UsageStream

books = control_plane.books()
dispatch = Dispatch(
    {
        settings.text("ALERTS_QUEUE_URL"): AlertDeliveries(control_plane.budgeting().alerts).handle,
        settings.text("EXPORTS_QUEUE_URL"): ExportDeliveries(books.exporting).handle,
    },
    books.nightly().run,
    {settings.text("USAGE_TABLE"): UsageStream(books.ingest).handle},
)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the stream or of a queue, or the nightly tick; answers what is to come again."""
    return dispatch.handle(event)
