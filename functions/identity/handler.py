"""Logging clients in, and what they ask for at every start; without SQL, so it works while the database sleeps."""

from typing import Any

from opencode_cloud.access.service import Access
from opencode_cloud.access.store import AccessStore, KeyUses
from opencode_cloud.identity.routes import IdentityRoutes
from opencode_cloud.identity.service.clients import Clients
from opencode_cloud.identity.service.devices import Devices
from opencode_cloud.identity.service.server import OAuth, Parts
from opencode_cloud.identity.service.sessions import Sessions
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.codes import CodesStore
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.app import answer, http_app
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.limits import RateLimiter
from opencode_cloud.policies.remote import RemoteConfigRoutes

sessions_table = settings.text("SESSIONS_TABLE")


def deployment_key() -> str:
    """Return the deployment's key, fetched on first use."""
    return aws.secret(settings.text("DEPLOYMENT_KEY_SECRET"))


tokens = AccessTokens(SigningKeys(settings.text("SIGNING_KEYS").split(","), sessions_table))
access = Access(AccessStore(settings.text("ACCESS_TABLE"), sessions_table), tokens.session, KeyUses(sessions_table))
codes = CodesStore(sessions_table)
oauth = OAuth(
    Parts(
        Clients(settings.text("REDIRECT_URIS", "").split()),
        Sessions(SessionsStore(sessions_table), tokens, deployment_key),
        Devices(codes, deployment_key),
        codes,
        access.may_sign_in,
    )
)
app = http_app()
IdentityRoutes(oauth, tokens, access, RateLimiter(sessions_table), settings.text("PUBLIC_URL", "")).mount(app)
RemoteConfigRoutes(access).mount(app)


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return answer(app, event, context)
