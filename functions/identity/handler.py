"""Logging clients in, and what they ask for at every start; without SQL, so it works while the database sleeps."""

from typing import Any

from opencode_cloud.access.service import Access
from opencode_cloud.access.store import AccessStore, KeyUses
from opencode_cloud.audit.queue import AuditQueue
from opencode_cloud.catalogue.service import CatalogueCache
from opencode_cloud.catalogue.store.current import CatalogueStore
from opencode_cloud.composition.catalogue import ListingRoutes
from opencode_cloud.composition.identity import identity_routes
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.app import answer, http_app
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.limits import RateLimiter
from opencode_cloud.policies.remote import RemoteConfigRoutes


def deployment_key() -> str:
    """Return the secret that refresh tokens and addresses are derived from; fetched on first use."""
    return aws.secret(settings.text("DEPLOYMENT_KEY_SECRET"))


sessions_table = settings.text("SESSIONS_TABLE")
public_url = settings.text("PUBLIC_URL", "")
catalogue = CatalogueCache(CatalogueStore(settings.text("ACCESS_TABLE")))
tokens = AccessTokens(SigningKeys(settings.text("SIGNING_KEYS").split(","), sessions_table))
access = Access(AccessStore(settings.text("ACCESS_TABLE"), sessions_table), tokens.session, KeyUses(sessions_table))
routes = identity_routes(
    access,
    tokens,
    AuditQueue(settings.text("AUDIT_QUEUE_URL")),
    deployment_key,
    sessions_table=sessions_table,
    redirects=settings.text("REDIRECT_URIS", "").split(),
    public_url=public_url,
)
app = http_app()
routes.mount(app)
RemoteConfigRoutes(access, catalogue, public_url).mount(app)
ListingRoutes(catalogue, access, RateLimiter(sessions_table), deployment_key, public_url).mount(app)


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return answer(app, event, context)
