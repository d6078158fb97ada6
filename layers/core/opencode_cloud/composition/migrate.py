"""The function `migrate`: a step of the deployment that upgrades the schema and publishes the well-known document."""

from __future__ import annotations

from pathlib import Path

from opencode_cloud.composition.settings import PublicUrl, SiteBucket
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.migration_step import MigrationStep
from opencode_cloud.kit.sql import DatabaseOwnerSettings
from opencode_cloud.policies.service import WellKnown
from opencode_cloud.policies.store import SiteStore


class MigrateSettings(DatabaseOwnerSettings):
    """Environment variables of the function."""

    site_bucket: SiteBucket
    public_url: PublicUrl = ""


def build(settings: MigrateSettings, migrations: Path) -> Handler:
    """Return the handler; ``migrations`` is the folder of the schema's versions."""
    site = WellKnown(SiteStore(settings.site_bucket), settings.public_url)
    step = MigrationStep(settings, migrations, site.ensure)
    return frame(lambda event, _context: step.handle(event))
