"""The function `identity`: logs clients in and answers their first requests; without SQL, so it needs no database."""

from __future__ import annotations

from dataclasses import dataclass

from opencode_cloud.audit.queue import AuditQueue
from opencode_cloud.catalogue.listing_routes import ListingRoutes
from opencode_cloud.catalogue.service import CatalogueCache
from opencode_cloud.catalogue.store.current import CatalogueStore
from opencode_cloud.composition.services.access import access, access_tokens
from opencode_cloud.composition.services.identity import identity_routes
from opencode_cloud.composition.settings import (
    AccessSettings,
    AuditQueueUrl,
    DeploymentKeySecret,
    PublicUrl,
    RedirectUris,
)
from opencode_cloud.kit import aws
from opencode_cloud.kit.app import Handler, answer, frame, http_app
from opencode_cloud.kit.limits import RateLimiter
from opencode_cloud.policies.remote import RemoteConfigRoutes


@dataclass(frozen=True, kw_only=True)
class IdentitySettings(AccessSettings):
    """What the function reads from its environment."""

    audit_queue_url: AuditQueueUrl
    deployment_key_secret: DeploymentKeySecret
    redirect_uris: RedirectUris = ()
    public_url: PublicUrl = ""


def build(settings: IdentitySettings) -> Handler:
    """Return the handler."""

    def deployment_key() -> str:
        return aws.secret(settings.deployment_key_secret)

    catalogue, allowed = CatalogueCache(CatalogueStore(settings.access_table)), access(settings)
    limiter, app = RateLimiter(settings.sessions_table), http_app()
    identity_routes(
        allowed,
        access_tokens(settings),
        AuditQueue(settings.audit_queue_url),
        deployment_key,
        sessions_table=settings.sessions_table,
        redirects=settings.redirect_uris,
        public_url=settings.public_url,
    ).mount(app)
    RemoteConfigRoutes(allowed, catalogue, settings.public_url).mount(app)
    ListingRoutes(catalogue, allowed, limiter, deployment_key, settings.public_url).mount(app)
    return frame(lambda event, context: answer(app, event, context))
