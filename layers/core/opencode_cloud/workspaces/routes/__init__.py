"""HTTP to workspaces and back: `/api/v1/workspaces...` and `/api/v1/invitations...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.http.gate import Gate
from opencode_cloud.workspaces.routes.domains import DomainRoutes
from opencode_cloud.workspaces.routes.groups import GroupRoutes
from opencode_cloud.workspaces.routes.invitations import InvitationRoutes
from opencode_cloud.workspaces.routes.members import MemberRoutes
from opencode_cloud.workspaces.routes.service_accounts import ServiceAccountRoutes
from opencode_cloud.workspaces.routes.workspaces import WorkspaceRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.workspaces.services import WorkspaceServices

__all__ = ["TeamRoutes"]


class TeamRoutes:
    """All routes of workspaces, over the services of a team."""

    def __init__(self, team: WorkspaceServices, access: Access) -> None:
        self._team = team
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        gate, team = Gate(app, self._access), self._team
        WorkspaceRoutes(team.workspaces, team.members, gate).mount()
        MemberRoutes(team.members, gate).mount()
        GroupRoutes(team.groups, gate).mount()
        InvitationRoutes(team.invitations, gate).mount()
        DomainRoutes(team.domains, gate).mount()
        ServiceAccountRoutes(team.service_accounts, gate).mount()
