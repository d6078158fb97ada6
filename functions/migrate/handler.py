"""The step of a deployment that brings the database to the schema of the code, and publishes what clients log in by."""

from typing import Any

from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.deployment import MigrationStep
from opencode_cloud.policies.service import WellKnown
from opencode_cloud.policies.store import SiteStore

site = WellKnown(SiteStore(settings.text("SITE_BUCKET")), settings.text("PUBLIC_URL", ""))
step = MigrationStep(__file__, site.ensure)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Migrate, for CloudFormation or for whoever invokes the function."""
    return step.handle(event)
