"""Keeps the house of budgets: returns what crashed calls held, and looks for thresholds that were crossed."""

from typing import Any

from opencode_cloud.kit.app import handler as frame


@frame
def handler(_event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of settled calls, or the tick of each minute."""
    return {"batchItemFailures": []}
