"""Builds the routes of identity, for the function that logs clients in and has no SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.identity.routes import IdentityRoutes
from opencode_cloud.identity.service.clients import Clients
from opencode_cloud.identity.service.devices import Devices
from opencode_cloud.identity.service.exchanges import OAuthServices
from opencode_cloud.identity.service.server import OAuth
from opencode_cloud.identity.service.sessions import Sessions
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.codes import CodesStore
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.rate_limits import RateLimiter

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.audit_queue import AuditQueue
    from opencode_cloud.identity.models import Session


def identity_routes(
    access: Access,
    tokens: AccessTokens,
    audit: AuditQueue,
    deployment_key: Callable[[], str],
    *,
    sessions_table: str,
    redirects: Sequence[str],
    public_url: str,
) -> IdentityRoutes:
    """Return the routes of identity over tables and queues."""

    def note_replay(session: Session) -> None:
        actor = Actor(kind=ActorKind.SYSTEM, correlation_id=logger.get_correlation_id())
        after = {"reason": "refresh token came back", "account": session.account_id, "client": session.client}
        audit.record(actor, "session.ended", Target("session", session.id), after=after)

    codes = CodesStore(sessions_table)
    sessions = Sessions(SessionsStore(sessions_table), tokens, deployment_key, note_replay)
    parts = OAuthServices(Clients(redirects), sessions, Devices(codes, deployment_key), codes, access.may_sign_in)
    return IdentityRoutes(OAuth(parts), tokens, access, RateLimiter(sessions_table), public_url)
