"""The function `console`: HTTP with SQL, which is the API under `/api/v1` and the pages of people."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from opencode_cloud.audit.routes import AuditRoutes
from opencode_cloud.billing.routes import BillingRoutes
from opencode_cloud.budgets.routes import BudgetsRoutes
from opencode_cloud.catalogue.routes import ModelRoutes
from opencode_cloud.catalogue.service.caching import CatalogueCache
from opencode_cloud.composition.console_pages import Console
from opencode_cloud.composition.control_plane import ControlPlane, WorkspaceSettings, workspaces
from opencode_cloud.composition.services.access import access
from opencode_cloud.composition.services.billing import reader_of
from opencode_cloud.composition.services.budgets import budget_services
from opencode_cloud.composition.services.identity_pages import identity_pages, login_methods
from opencode_cloud.composition.services.usage import UsageResources, UsageServices
from opencode_cloud.composition.settings import (
    AccessSettings,
    BillingEnabled,
    BudgetsTable,
    CredentialsKey,
    ExportsBucket,
    ExportsQueueUrl,
    OriginSecret,
    PublicUrl,
    RedirectUris,
    RequestsPerMinute,
    StripeSecretArn,
)
from opencode_cloud.console.app import ConsoleApp, form_answers
from opencode_cloud.http.api import api_app, limited_answer
from opencode_cloud.http.documents import DocumentRoutes
from opencode_cloud.http.gate import only_once
from opencode_cloud.http.pages import pages_app
from opencode_cloud.identity.pages import IdentityPages
from opencode_cloud.keys.routes import KeysRoutes
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_app import answer
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.rate_limits import REQUESTS_PER_MINUTE, RateLimiter
from opencode_cloud.policies.routes import PolicyRoutes
from opencode_cloud.usage.routes import UsageRoutes
from opencode_cloud.workspaces.pages import InvitationPages
from opencode_cloud.workspaces.routes import TeamRoutes

API = "/api/"


class ConsoleSettings(WorkspaceSettings, AccessSettings):
    """Environment variables of the function."""

    credentials_key: CredentialsKey
    budgets_table: BudgetsTable
    billing: BillingEnabled = False
    stripe_secret: StripeSecretArn = ""
    exports_bucket: ExportsBucket
    exports_queue_url: ExportsQueueUrl
    login_methods: Annotated[str, "the login methods of the stage, as JSON"]
    login_secrets: Annotated[str, "the ARN of the secret with the client secrets of login methods"]
    origin_secret: OriginSecret
    redirect_uris: RedirectUris = ()
    public_url: PublicUrl = ""
    requests_per_minute: RequestsPerMinute = REQUESTS_PER_MINUTE


class ConsoleApps:
    """The apps of the function: the API, and the pages."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._plane = plane = ControlPlane(settings)
        self._access = access(settings)
        self._team = workspaces(plane, settings, credentials_key=settings.credentials_key)
        self._budgets = budget_services(
            plane.database,
            plane.outbox,
            plane.deployment_key,
            settings.budgets_table,
            private_webhooks=settings.private_providers,
        )
        resources = UsageResources(exports_bucket=settings.exports_bucket, exports_queue=settings.exports_queue_url)
        self._usage = UsageServices.over(plane.database, plane.outbox, plane.audit, resources)

    def api(self) -> APIGatewayHttpResolver:
        """Return the app of `/api/v1` without shares, which the function `share` serves, and with its documents."""
        plane, settings, allowed, team = self._plane, self._settings, self._access, self._team
        app: Any = api_app()
        app.use([only_once(allowed, settings.sessions_table, plane.deployment_key)])
        TeamRoutes(team, allowed).mount(app)
        KeysRoutes(team.keys, team.credentials, allowed).mount(app)
        PolicyRoutes(plane.publisher, allowed, settings.public_url).mount(app)
        AuditRoutes(plane.audit_reading, allowed).mount(app)
        BudgetsRoutes(self._budgets, allowed).mount(app)
        catalogue = CatalogueCache(plane.current_catalogue)
        ModelRoutes(catalogue, allowed, plane.deployment_key, settings.public_url).mount(app)
        BillingRoutes(reader_of(plane.database, enabled=settings.billing), allowed).mount(app)
        UsageRoutes(self._usage.reader, self._usage.exports, self._usage.cache_misses, allowed).mount(app)
        DocumentRoutes().mount(app)
        return app

    def pages(self) -> APIGatewayHttpResolver:
        """Return the app of everything that people open in a browser."""
        plane, settings, allowed, team = self._plane, self._settings, self._access, self._team
        app = pages_app()
        identity = self._identity_pages()
        identity.mount(app)
        limiter = RateLimiter(settings.sessions_table)
        InvitationPages(team.invitations, allowed, plane.deployment_key, limiter).mount(app)
        answers = form_answers(settings.sessions_table, plane.deployment_key)
        console = ConsoleApp(allowed, plane.deployment_key, identity.note_use, settings.public_url, answers)
        reader = reader_of(plane.database) if settings.billing else None
        sells = settings.billing and bool(settings.stripe_secret)
        reading, usage, budgets = plane.audit_reading, self._usage.reader, self._budgets
        pages = Console(console, allowed, team, plane.publisher, reading, usage, budgets, billing=reader, sells=sells)
        pages.mount(app)
        return app

    def _identity_pages(self) -> IdentityPages:
        plane, settings = self._plane, self._settings
        return identity_pages(
            plane.database,
            plane.outbox,
            self._access,
            self._team,
            plane.deployment_key,
            login_methods(settings.login_methods, settings.login_secrets),
            sessions_table=settings.sessions_table,
            signing_keys=settings.signing_keys,
            redirects=settings.redirect_uris,
            public_url=settings.public_url,
        )


def build(settings: ConsoleSettings) -> Handler:
    """Return the handler."""
    console = ConsoleApps(settings)
    api, pages = console.api(), console.pages()
    limiter = RateLimiter(settings.sessions_table, settings.requests_per_minute)

    def handle(event: dict[str, Any], context: Any) -> Any:
        if event["rawPath"].startswith(API):
            return limited_answer(api, limiter, event, context)
        return answer(pages, event, context)

    return frame(behind_edge(handle, lambda: aws.secret(settings.origin_secret)))
