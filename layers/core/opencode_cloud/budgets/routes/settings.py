"""`/api/v1/workspaces/{workspace}/usage/settings`: the retention of calls' metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.models.documents import UsageSettings
from opencode_cloud.budgets.requests import UsageSettingsChange
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.settings import UsageSettingsService

TAG = "Usage"


class SettingsRoutes:
    """Routes of the settings of usage."""

    def __init__(self, settings: UsageSettingsService, gate: Gate) -> None:
        self._settings = settings
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, root = self._gate.add, f"{WORKSPACE}/usage/settings"
        add(f"GET {root}", self.get, Permission.USAGE_READ, "Get the settings of usage", TAG)
        add(f"PUT {root}", self.put, Permission.WORKSPACE_UPDATE, "Change the settings of usage", TAG)

    def get(self, workspace_id: WorkspaceId) -> Response[UsageSettings]:
        """Read how long client, user agent and address of calls are kept, and which headers name projects.

        Prompts and answers are never kept.
        """
        return document(self._settings.get(workspace_id))

    def put(self, workspace_id: WorkspaceId, body: UsageSettingsChange) -> Response[UsageSettings]:
        """Set how long client, user agent and address of calls are kept, and which headers name projects."""
        days, headers = body.metadata_days, body.project_headers
        return document(self._settings.change(self._gate.actor, workspace_id, days, headers))
