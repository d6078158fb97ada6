"""HTTP of the console plane: pages and API, with SQL."""

from typing import Any

from opencode_cloud.composition.console import Console
from opencode_cloud.kit.app import handler as frame

console = Console()
app = console.api


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return console.answer(event, context)
