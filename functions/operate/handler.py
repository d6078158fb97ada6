"""Commands of operators; nothing but their own AWS credentials lets them in (docs/operate.md)."""

from typing import Any

from opencode_cloud.composition import control_plane
from opencode_cloud.kit.app import handler as frame

operations = control_plane.operations()


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Carry out one command."""
    return operations.handle(event, context.aws_request_id)
