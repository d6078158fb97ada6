"""The HTTP routes of identity without SQL: tokens, devices, revocation, discovery, and the signed-in person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.http import requests
from opencode_cloud.identity.service.exchanges import OAuthRequest, OAuthResponse, parameters_of, refusal
from opencode_cloud.identity.service.server import OAuth
from opencode_cloud.identity.service.sessions import Origin
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import TooManyRequests
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.identity.service.tokens import AccessTokens

DEVICE_CODES = RateLimit("device-codes", 60)
"""The limit of each address in a minute. An office behind one address logs in together."""
TOKENS = RateLimit("tokens", 600)
"""The limit per address and minute. Each device polls every two seconds until a person approves it."""
_PUBLIC = {"Cache-Control": "public, max-age=300"}
_UNSTORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class IdentityRoutes:
    """The routes that log clients in."""

    def __init__(
        self,
        oauth: OAuth,
        tokens: AccessTokens,
        access: Access,
        limiter: RateLimiter,
        public_url: str,
    ) -> None:
        self._oauth = oauth
        self._tokens = tokens
        self._access = access
        self._limiter = limiter
        self._public_url = public_url

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        app.post("/auth/device/code")(self.device_code)
        app.post("/auth/device/token")(self.token)
        app.post("/auth/token")(self.token)
        app.post("/auth/revoke")(self.revoke)
        app.get("/.well-known/oauth-authorization-server")(self.metadata)
        app.get("/.well-known/jwks.json")(self.key_set)
        app.get("/api/user")(self.user)
        app.get("/api/orgs")(self.organizations)

    def device_code(self) -> HttpReply:
        """``POST /auth/device/code {client_id}`` -> ``{device_code, user_code, verification_uri_complete, ...}``."""
        return self._oauth_reply(self._oauth.device_code, DEVICE_CODES)

    def token(self) -> HttpReply:
        """``POST /auth/token {grant_type, ...}`` -> ``{access_token, token_type, expires_in, refresh_token}``."""
        return self._oauth_reply(self._oauth.token, TOKENS)

    def revoke(self) -> HttpReply:
        """``POST /auth/revoke {token, client_id}`` -> ``{}``; ends the token's session everywhere."""
        return self._oauth_reply(self._oauth.revoke, TOKENS)

    def metadata(self) -> HttpReply:
        """``GET /.well-known/oauth-authorization-server`` (RFC 8414)."""
        return self._json(self._oauth.metadata(self._issuer()), _PUBLIC)

    def key_set(self) -> HttpReply:
        """``GET /.well-known/jwks.json``: the keys that sign access tokens."""
        return self._json(self._tokens.key_set(), _PUBLIC)

    def user(self) -> HttpReply:
        """``GET /api/user`` -> ``{id, email}``."""
        actor = self._access.account(requests.request_of(self._event()))
        return self._json({"id": actor.account_id, "email": actor.name})

    def organizations(self) -> HttpReply:
        """``GET /api/orgs`` -> ``[{id, name}]`` sorted by name; a client that logs in starts with the first."""
        actor = self._access.account(requests.request_of(self._event()))
        memberships = self._access.memberships(actor.account_id)
        return self._json([{"id": workspace.id, "name": workspace.name} for _, workspace in memberships])

    def _oauth_reply(self, answer: Callable[[OAuthRequest], OAuthResponse], limit: RateLimit) -> HttpReply:
        event = self._event()
        parameters, fault = _parameters(event)
        reading = self._oauth.read_ahead(parameters)  # one round trip, together with the limit
        try:
            self._limiter.take(limit, http_events.source_network(event))
        except TooManyRequests as error:
            slow = refusal("slow_down", error.message, HTTPStatus.TOO_MANY_REQUESTS)
            return reply(event, slow, {"Retry-After": str(error.retry_after)})
        if fault:
            return reply(event, refusal("invalid_request", f"Send JSON or a form: {fault}."))
        request = oauth_request(event, self._issuer(), parameters)
        return reply(event, answer(msgspec.structs.replace(request, reading=reading)))

    def _issuer(self) -> str:
        return http_events.base_url(self._event(), self._public_url)

    def _json(self, document: Any, headers: Mapping[str, str] = http_events.PRIVATE) -> HttpReply:
        return http_events.reply(self._event(), msgspec.json.encode(document), headers=headers)


def _parameters(event: http_events.Event) -> tuple[Mapping[str, str], str]:
    """Return the parameters of a request, and its fault; empty: none."""
    try:
        return parameters_of(http_events.raw_body(event)), ""
    except ValueError as error:
        return {}, str(error)


def oauth_request(event: http_events.Event, issuer: str, parameters: Mapping[str, str]) -> OAuthRequest:
    """Return a request in the form that the authorization server accepts."""
    request = event["requestContext"]["http"]
    return OAuthRequest(
        method=request["method"],
        issuer=issuer,
        path=request.get("path") or event["rawPath"],
        parameters=parameters,
        origin=origin_of(event),
    )


def origin_of(event: http_events.Event) -> Origin:
    """Return the origin of a request, as people are shown it."""
    return Origin(
        http_events.source_address(event), http_events.header(event, "user-agent"), http_events.is_from_edge(event)
    )


def reply(event: http_events.Event, answer: OAuthResponse, headers: Mapping[str, str] | None = None) -> HttpReply:
    """Answer with a document of the authorization server, which must not be cached (RFC 6749, 5.1)."""
    body = msgspec.json.encode(answer.document)
    return http_events.reply(event, body, status=answer.status, headers={**_UNSTORED, **(headers or {})})
