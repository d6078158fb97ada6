"""Brings usage into the database, delivers alerts, writes exports, and reconciles every night."""

from typing import Any

from opencode_cloud import wiring
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.queues import Dispatch
from opencode_cloud.usage.stream import UsageStream

dispatch = Dispatch(
    {},
    dict,
    {settings.text("USAGE_TABLE"): UsageStream(wiring.books().ingest).handle},
)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the stream or of a queue, or the nightly tick; answers what is to come again."""
    return dispatch.handle(event)
