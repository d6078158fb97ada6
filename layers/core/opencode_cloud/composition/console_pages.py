"""Builds the pages of people: of signing in, of invitations, and of workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.catalogue.service.caching import CatalogueCache
from opencode_cloud.composition.services.billing import coupons_of, reader_of
from opencode_cloud.composition.services.identity_pages import identity_pages, login_methods
from opencode_cloud.console.app import ConsoleApp, form_answers
from opencode_cloud.console.audit import AuditPages
from opencode_cloud.console.billing import BillingPages
from opencode_cloud.console.budgets import BudgetPages
from opencode_cloud.console.call_list import CallList
from opencode_cloud.console.calls import CallPages
from opencode_cloud.console.exports import ExportPages
from opencode_cloud.console.group_usage import GroupUsagePage
from opencode_cloud.console.groups import GroupPages
from opencode_cloud.console.keys import KeyPages
from opencode_cloud.console.live_calls import LiveCalls
from opencode_cloud.console.members import MemberPages
from opencode_cloud.console.menu import pages_of
from opencode_cloud.console.one_member import OneMemberPage
from opencode_cloud.console.overview import Overview
from opencode_cloud.console.policies import ConfigurationPages, PolicyPages
from opencode_cloud.console.providers import ProviderPages
from opencode_cloud.console.settings import SettingsPages
from opencode_cloud.console.usage import UsagePages
from opencode_cloud.console.workspaces import WorkspacePages
from opencode_cloud.http.pages import pages_app
from opencode_cloud.kit.rate_limits import RateLimiter
from opencode_cloud.usage.store.settled import SettledCalls
from opencode_cloud.workspaces.pages import InvitationPages

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.service import AuditReading
    from opencode_cloud.billing.service.coupons import Coupons
    from opencode_cloud.billing.service.reading import BillingReader
    from opencode_cloud.budgets.service.effective_limits import EffectiveLimits
    from opencode_cloud.budgets.services import BudgetServices
    from opencode_cloud.composition.console_parts import ConsoleParts
    from opencode_cloud.identity.pages import IdentityPages
    from opencode_cloud.operators.pages import OperatorPages
    from opencode_cloud.policies.service import Publisher
    from opencode_cloud.usage.service import ExportService, UsageReader
    from opencode_cloud.workspaces.services import WorkspaceServices


class Console(msgspec.Struct, frozen=True):
    """All pages under ``/console``."""

    app: ConsoleApp
    access: Access
    team: WorkspaceServices
    publisher: Publisher
    reading: AuditReading
    usage: UsageReader
    exports: ExportService
    budgets: BudgetServices
    limits: EffectiveLimits
    catalogue: CatalogueCache
    settled: SettledCalls
    coupons: Coupons | None = None
    billing: BillingReader | None = None
    """None: the deployment keeps no ledger."""
    sells: bool = False
    """Whether the function ``payments`` serves its pages."""

    def mount(self, resolver: APIGatewayHttpResolver) -> None:
        """Add every page to ``resolver``. Other functions serve the pages of shares and of payments."""
        app = self.app
        app.mount(resolver)
        app.menu.extend(pages_of(billing=self.billing is not None, sells=self.sells))
        WorkspacePages(app, self.access, self.team.workspaces).mount(resolver)
        Overview(app, self.team, self.publisher, self.reading, self.usage, self.budgets).mount()
        UsagePages(app, self.usage, self.team.groups).mount()
        GroupUsagePage(app, self.usage).mount()
        ExportPages(app, self.exports).mount()
        calls = CallList(self.usage, self.reading)
        LiveCalls(app, calls).mount()  # before the page of one call, whose id could be any word
        CallPages(app, self.usage, calls, self.settled, self.budgets.budgets).mount()
        AuditPages(app, self.reading).mount()
        BudgetPages(app, self.budgets, self.team).mount()
        if self.billing is not None and self.coupons is not None:
            BillingPages(app, self.billing, self.coupons).mount()
        MemberPages(app, self.team.members, self.team.invitations, self.usage).mount()
        OneMemberPage(app, self.team.members, self.team.groups, self.limits, self.catalogue).mount()
        GroupPages(app, self.team.groups, self.budgets.budgets).mount()
        KeyPages(app, self.team, self.budgets.budgets, self.publisher).mount()
        ProviderPages(app, self.team.credentials).mount()
        PolicyPages(app, self.publisher, self.catalogue).mount()
        ConfigurationPages(app, self.publisher).mount()
        SettingsPages(app, self.team, self.budgets.settings).mount()


def site_of(parts: ConsoleParts) -> APIGatewayHttpResolver:
    """Return the app of everything that people open in a browser."""
    plane, settings, allowed, team = parts.plane, parts.settings, parts.access, parts.team
    app = pages_app()
    identity = _identity_pages(parts)
    identity.mount(app)
    limiter = RateLimiter(settings.sessions_table)
    InvitationPages(team.invitations, allowed, plane.deployment_key, limiter).mount(app)
    answers = form_answers(settings.sessions_table, plane.deployment_key)
    operators = _operator_pages(parts)
    if operators:
        operators.mount(app)
    console = ConsoleApp(
        allowed,
        plane.deployment_key,
        identity.note_use,
        settings.public_url,
        answers,
        operates=operators.admits if operators else None,
    )
    reader = reader_of(plane.database) if settings.billing else None
    coupons = coupons_of(plane.database, plane.outbox, plane.audit)
    sells = settings.billing and bool(settings.stripe_secret)
    reading, usage, budgets = plane.audit_reading, parts.usage.reader, parts.budgets
    catalogue = CatalogueCache(plane.current_catalogue)
    settled = SettledCalls(settings.usage_table)
    exports = parts.usage.exports
    services = (allowed, team, plane.publisher, reading, usage, exports, budgets, parts.limits, catalogue, settled)
    pages = Console(console, *services, coupons=coupons, billing=reader, sells=sells)
    pages.mount(app)
    return app


def _operator_pages(parts: ConsoleParts) -> OperatorPages | None:
    """Return the operators' pages; None for a deployment that lists no operators."""
    if not parts.settings.operators:
        return None
    from opencode_cloud.composition.operator_pages import operator_pages  # other deployments do not need it

    return operator_pages(parts)


def _identity_pages(parts: ConsoleParts) -> IdentityPages:
    plane, settings = parts.plane, parts.settings
    return identity_pages(
        plane.database,
        plane.outbox,
        parts.access,
        parts.team,
        plane.deployment_key,
        login_methods(settings.login_methods, settings.login_secrets),
        sessions_table=settings.sessions_table,
        signing_keys=settings.signing_keys,
        redirects=settings.redirect_uris,
        public_url=settings.public_url,
    )
