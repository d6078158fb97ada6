"""The step of a deployment that brings the database to the schema of the code."""

from typing import Any

from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.deployment import MigrationStep

step = MigrationStep(__file__)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Migrate, for CloudFormation or for whoever invokes the function."""
    return step.handle(event)
