"""Commands of operators; nothing but their own AWS credentials lets them in (docs/operate.md)."""

from typing import Any

from opencode_cloud import wiring
from opencode_cloud.kit.app import handler as frame

operations = wiring.operations()


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Carry out one command."""
    return operations.handle(event, context.aws_request_id)
