"""Builds the pages of workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.console.audit import AuditPages
from opencode_cloud.console.billing import BillingPages
from opencode_cloud.console.budgets import BudgetPages
from opencode_cloud.console.calls import CallPages
from opencode_cloud.console.keys import KeyPages
from opencode_cloud.console.members import MemberPages
from opencode_cloud.console.overview import Overview
from opencode_cloud.console.payments import PaymentPages
from opencode_cloud.console.policies import ConfigurationPages, PolicyPages
from opencode_cloud.console.providers import ProviderPages
from opencode_cloud.console.settings import SettingsPages
from opencode_cloud.console.usage import UsagePages
from opencode_cloud.console.workspaces import WorkspacePages

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.service import AuditReading
    from opencode_cloud.billing.service.reading import BillingReader
    from opencode_cloud.budgets.services import BudgetServices
    from opencode_cloud.console.app import ConsoleApp
    from opencode_cloud.policies.service import Publisher
    from opencode_cloud.usage.service import UsageReader
    from opencode_cloud.workspaces.services import WorkspaceServices

MENU = (
    Overview.PAGE,
    UsagePages.PAGE,
    CallPages.PAGE,
    AuditPages.PAGE,
    BudgetPages.PAGE,
    BillingPages.PAGE,
    PaymentPages.PAGE,
    MemberPages.PAGE,
    KeyPages.PAGE,
    ProviderPages.PAGE,
    PolicyPages.PAGE,
    ConfigurationPages.PAGE,
    SettingsPages.PAGE,
)
"""The whole menu, for a function that serves only some of its pages. A test compares it with :meth:`Console.mount`."""


class Console(msgspec.Struct, frozen=True):
    """All pages under ``/console``."""

    app: ConsoleApp
    access: Access
    team: WorkspaceServices
    publisher: Publisher
    reading: AuditReading
    usage: UsageReader
    budgets: BudgetServices
    billing: BillingReader | None = None
    """None: the deployment keeps no ledger."""
    sells: bool = False
    """Whether the function ``payments`` serves its pages."""

    def mount(self, resolver: APIGatewayHttpResolver) -> None:
        """Add every page to ``resolver``; this is also the order of the menu."""
        app = self.app
        app.mount(resolver)
        WorkspacePages(app, self.access, self.team.workspaces).mount(resolver)
        Overview(app, self.team, self.publisher).mount()
        UsagePages(app, self.usage).mount()
        CallPages(app, self.usage, self.reading).mount()
        AuditPages(app, self.reading).mount()
        BudgetPages(app, self.budgets, self.team).mount()
        if self.billing is not None:
            BillingPages(app, self.billing).mount()
        if self.sells:
            app.menu.append(PaymentPages.PAGE)
        MemberPages(app, self.team.members, self.team.invitations).mount()
        KeyPages(app, self.team.keys, self.team.service_accounts).mount()
        ProviderPages(app, self.team.credentials).mount()
        PolicyPages(app, self.publisher).mount()
        ConfigurationPages(app, self.publisher).mount()
        SettingsPages(app, self.team, self.budgets.settings).mount()
