"""The function `identity`: logs clients in and answers their first requests; without SQL, so it needs no database."""

from __future__ import annotations

from typing import Any

from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.catalogue.listing_routes import ListingRoutes
from opencode_cloud.catalogue.service.caching import CatalogueCache
from opencode_cloud.catalogue.store.current import CatalogueStore
from opencode_cloud.composition.services.access import access, access_tokens
from opencode_cloud.composition.services.identity import identity_routes
from opencode_cloud.composition.settings import (
    AccessSettings,
    AuditQueueUrl,
    BillingEnabled,
    DeploymentKeySecret,
    OriginSecret,
    PublicUrl,
    RedirectUris,
    StripeSecretArn,
    UsageTable,
)
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.lambda_handlers import Handler, LazyHandler, frame, is_below
from opencode_cloud.kit.rate_limits import RateLimiter
from opencode_cloud.policies.remote import RemoteConfigRoutes

CONSOLE = "/console/"


class IdentitySettings(AccessSettings):
    """Environment variables of the function."""

    audit_queue_url: AuditQueueUrl
    deployment_key_secret: DeploymentKeySecret
    origin_secret: OriginSecret
    redirect_uris: RedirectUris = ()
    public_url: PublicUrl = ""
    usage_table: UsageTable
    billing: BillingEnabled = False
    stripe_secret: StripeSecretArn = ""


class IdentityApp:
    """The HTTP application of the function."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings
        self.tokens = access_tokens(settings)
        self._access = allowed = access(settings, self.tokens)
        self.routes = identity_routes(
            allowed,
            self.tokens,
            AuditQueue(settings.audit_queue_url),
            self._deployment_key,
            sessions_table=settings.sessions_table,
            redirects=settings.redirect_uris,
            public_url=settings.public_url,
        )
        self._catalogue = catalogue = CatalogueCache(CatalogueStore(settings.access_table))
        self._pages = LazyHandler(self._build_pages)
        limiter, self._app = RateLimiter(settings.sessions_table), HttpRoutes()
        self.routes.mount(self._app)
        RemoteConfigRoutes(allowed, catalogue, settings.public_url).mount(self._app)
        ListingRoutes(catalogue, allowed, limiter, self._deployment_key, settings.public_url).mount(self._app)

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one HTTP request."""
        return self._pages(event, context) if is_below(CONSOLE, event) else self._app.answer(event, context)

    def _build_pages(self) -> Handler:
        from opencode_cloud.composition.playground import playground

        return playground(self._settings, self._access, self._catalogue, self.tokens, self._deployment_key)

    def _deployment_key(self) -> str:
        return aws.secret(self._settings.deployment_key_secret)


def build(settings: IdentitySettings) -> Handler:
    """Return the handler."""
    return frame(behind_edge(IdentityApp(settings).answer, lambda: aws.secret(settings.origin_secret)))
