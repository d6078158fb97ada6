"""HTTP of the console plane: pages and API, with SQL."""

from typing import Any

from opencode_cloud import wiring
from opencode_cloud.identity.frame import pages_app
from opencode_cloud.kit.app import answer
from opencode_cloud.kit.app import handler as frame

app = pages_app()
wiring.identity_pages().mount(app)
wiring.invitation_pages().mount(app)


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return answer(app, event, context)
