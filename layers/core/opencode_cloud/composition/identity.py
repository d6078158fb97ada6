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
    DeploymentKeySecret,
    OriginSecret,
    PublicUrl,
    RedirectUris,
)
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.rate_limits import RateLimiter
from opencode_cloud.policies.remote import RemoteConfigRoutes


class IdentitySettings(AccessSettings):
    """Environment variables of the function."""

    audit_queue_url: AuditQueueUrl
    deployment_key_secret: DeploymentKeySecret
    origin_secret: OriginSecret
    redirect_uris: RedirectUris = ()
    public_url: PublicUrl = ""


class IdentityApp:
    """The HTTP application of the function."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._secret_arn = settings.deployment_key_secret
        self.tokens = access_tokens(settings)
        allowed = access(settings, self.tokens)
        self.routes = identity_routes(
            allowed,
            self.tokens,
            AuditQueue(settings.audit_queue_url),
            self._deployment_key,
            sessions_table=settings.sessions_table,
            redirects=settings.redirect_uris,
            public_url=settings.public_url,
        )
        catalogue = CatalogueCache(CatalogueStore(settings.access_table))
        limiter, self._app = RateLimiter(settings.sessions_table), HttpRoutes()
        self.routes.mount(self._app)
        RemoteConfigRoutes(allowed, catalogue, settings.public_url).mount(self._app)
        ListingRoutes(catalogue, allowed, limiter, self._deployment_key, settings.public_url).mount(self._app)

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one HTTP request."""
        return self._app.answer(event, context)

    def _deployment_key(self) -> str:
        return aws.secret(self._secret_arn)


def build(settings: IdentitySettings) -> Handler:
    """Return the handler."""
    return frame(behind_edge(IdentityApp(settings).answer, lambda: aws.secret(settings.origin_secret)))
