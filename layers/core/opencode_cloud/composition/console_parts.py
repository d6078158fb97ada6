"""Builds the services that API and pages of the console have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.composition.control_plane import ControlPlane, workspaces
from opencode_cloud.composition.services.access import access
from opencode_cloud.composition.services.budgets import budget_services, effective_limits
from opencode_cloud.composition.services.usage import UsageResources, UsageServices

if TYPE_CHECKING:
    from opencode_cloud.composition.console import ConsoleSettings


class ConsoleParts:
    """The common services, over one database."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.settings = settings
        self.plane = plane = ControlPlane(settings)
        self.access = access(settings)
        self.team = workspaces(plane, settings, credentials_key=settings.credentials_key)
        self.budgets = budget_services(
            plane.database,
            plane.outbox,
            plane.deployment_key,
            settings.budgets_table,
            private_webhooks=settings.private_providers,
        )
        self.limits = effective_limits(plane.database, settings.budgets_table, self.access)
        resources = UsageResources(exports_bucket=settings.exports_bucket, exports_queue=settings.exports_queue_url)
        self.usage = UsageServices.over(plane.database, plane.outbox, plane.audit, resources)
