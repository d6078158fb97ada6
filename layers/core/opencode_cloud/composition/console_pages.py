"""Puts the pages of workspaces together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.console.audit import AuditPages
from opencode_cloud.console.keys import KeyPages
from opencode_cloud.console.members import MemberPages
from opencode_cloud.console.overview import Overview
from opencode_cloud.console.policies import ConfigurationPages, PolicyPages
from opencode_cloud.console.usage import UsagePages

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.service import AuditReading
    from opencode_cloud.console.desk import Desk
    from opencode_cloud.policies.service import Publisher
    from opencode_cloud.usage.service import Reading
    from opencode_cloud.workspaces.services import WorkspaceServices


@dataclass(frozen=True, slots=True)
class AdministrationPages:
    """All pages under ``/console``."""

    desk: Desk
    access: Access
    team: WorkspaceServices
    publisher: Publisher
    reading: AuditReading
    usage: Reading

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every page to ``app``."""
        self.desk.mount(app)
        Overview(self.desk, self.access, self.team, self.publisher).mount(app)
        MemberPages(self.desk, self.team.members, self.team.invitations).mount()
        KeyPages(self.desk, self.team.keys, self.team.service_accounts).mount()
        PolicyPages(self.desk, self.publisher).mount()
        ConfigurationPages(self.desk, self.publisher).mount()
        AuditPages(self.desk, self.reading).mount()
        UsagePages(self.desk, self.usage).mount()
