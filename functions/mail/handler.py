"""Messages of the queue `mail`."""

from typing import Any

from opencode_cloud.kit.app import handler as frame


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch; answers which messages to send again."""
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event.get("Records", [])]}
