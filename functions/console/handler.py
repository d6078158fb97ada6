"""HTTP of the console plane: pages and API, with SQL."""

from typing import Any

from opencode_cloud.kit.app import answer, http_app
from opencode_cloud.kit.app import handler as frame

app = http_app()


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return answer(app, event, context)
