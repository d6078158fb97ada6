"""The authorization server: Authlib's, with our grants and endpoints (OAuth 2.1, RFC 8628, 7009).

Each request gets its own server, so that grants can read the request's origin from it.
"""

# Authlib has no type annotations: the types of its results are unknown, and its methods are overridden by duck typing.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUntypedBaseClass=false, reportMissingTypeArgument=false

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from opencode_cloud.identity.service import grants
from opencode_cloud.identity.service.exchanges import OAuthRequest, OAuthResponse, OAuthServices, refusal

if TYPE_CHECKING:
    from concurrent.futures import Future

    from opencode_cloud.contracts.ids import AccountId
    from opencode_cloud.identity.models import Session
    from opencode_cloud.identity.service.clients import Client

PRINTABLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
"""The characters that an OAuth error may repeat (RFC 6749, 5.2)."""
DESCRIPTIONS: Mapping[str, str] = {
    "authorization_pending": "The request waits for a person to approve it.",
    "slow_down": "Polls come faster than the interval; it is five seconds longer now.",
    "expired_token": "The device code has expired. Begin again.",
    "invalid_grant": "The code or token is not valid, no longer valid, or was used before.",
    "invalid_request": "A parameter is missing, repeated or malformed.",
    "unauthorized_client": "This client may not use this grant.",
}
"""Clients require ``error_description``, and Authlib omits some."""


class OAuth:
    """The authorization server as the routes use it."""

    def __init__(self, services: OAuthServices) -> None:
        self._services = services

    def read_ahead(self, parameters: Mapping[str, str]) -> Future[Session | None] | None:
        """Begin to read the session that a request to refresh needs, before it is admitted; None for others."""
        token = parameters.get("refresh_token", "")
        return self._services.sessions.read_ahead(token) if token else None

    def token(self, request: OAuthRequest) -> OAuthResponse:
        """Answer ``POST /auth/token`` (and ``/auth/device/token``): any grant."""
        return self._checked(request, lambda server: server.create_token_response(request))

    def device_code(self, request: OAuthRequest) -> OAuthResponse:
        """Answer ``POST /auth/device/code``."""
        return self._checked(request, lambda server: server.create_endpoint_response("device_authorization", request))

    def revoke(self, request: OAuthRequest) -> OAuthResponse:
        """Answer ``POST /auth/revoke``: end the token's session. An unknown token is not an error (RFC 7009, 2.2)."""
        return self._checked(request, lambda server: server.create_endpoint_response("revocation", request))

    def consent(self, request: OAuthRequest) -> Client | OAuthResponse:
        """Return the client of a valid authorization request, for the consent page; else the refusal."""
        refused = _malformed(request)
        if refused:
            return refused
        server: Any = _Server(self._services, request)
        try:
            return server.get_consent_grant(request).request.client
        except OAuth2Error as error:
            return server.handle_error_response(None, error)

    def authorize(self, request: OAuthRequest, account_id: AccountId | None) -> OAuthResponse:
        """Answer an authorization request by the person's decision: ``account_id`` allows it, None denies it."""
        refused = _malformed(request)
        if refused:
            return refused
        server: Any = _Server(self._services, request)
        try:
            grant = server.get_consent_grant(request)
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        return server.create_authorization_response(grant.request, account_id, grant)

    def metadata(self, issuer: str) -> dict[str, Any]:
        """Return the discovery document (RFC 8414)."""
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/auth/authorize",
            "token_endpoint": f"{issuer}/auth/token",
            "device_authorization_endpoint": f"{issuer}/auth/device/code",
            "revocation_endpoint": f"{issuer}/auth/revoke",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_CODE_GRANT_TYPE],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
        }

    def _checked(self, request: OAuthRequest, answer: Callable[[Any], OAuthResponse]) -> OAuthResponse:
        return _malformed(request) or answer(_Server(self._services, request))


def _malformed(request: OAuthRequest) -> OAuthResponse | None:
    """Refuse values that an OAuth error could not repeat, since Authlib would fail on them."""
    for name, value in request.parameters.items():
        if name in ("client_id", "redirect_uri", "response_type", "grant_type") and not PRINTABLE.fullmatch(value):
            return refusal("invalid_request", f"The parameter {name} contains invalid characters.")
    return None


class _Request(OAuth2Request):
    """A request as Authlib reads it. All parameters are treated alike, whether they came as JSON, form or query."""

    def __init__(self, oauth_request: OAuthRequest) -> None:
        super().__init__(
            oauth_request.method, f"{oauth_request.issuer}{oauth_request.path}", headers=dict(oauth_request.headers)
        )
        self._oauth_request = oauth_request
        self.payload: Any = BasicOAuth2Payload(dict(oauth_request.parameters))

    @property
    def form(self) -> dict[str, str]:
        return dict(self._oauth_request.parameters)

    @property
    def args(self) -> dict[str, str]:
        return dict(self._oauth_request.parameters)


class _Server(AuthorizationServer):
    def __init__(self, services: OAuthServices, oauth_request: OAuthRequest) -> None:
        super().__init__()
        self.services = services
        self.oauth_request = oauth_request
        grants.register(self)

    def query_client(self, client_id: str) -> Client | None:
        return self.services.clients.get(client_id)

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        return request if isinstance(request, OAuth2Request) else _Request(request)

    def send_signal(self, name: str, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: the signal has no listeners."""

    def save_token(self, token: Any, request: Any) -> None:
        """Do nothing: issuing a token has already begun or refreshed its session."""

    def handle_response(self, status: int, body: Any, headers: Any) -> OAuthResponse:
        location = dict(headers).get("Location", "")
        if location:
            return OAuthResponse(status, {}, self._with_issuer(location))
        document = dict(body)
        if "error" in document and not document.get("error_description"):
            document["error_description"] = DESCRIPTIONS.get(document["error"], "The request cannot be granted.")
        return OAuthResponse(status, document)

    def _with_issuer(self, location: str) -> str:
        """Add the issuer, so that a client of several servers cannot mix them up (RFC 9207)."""
        return add_params_to_uri(location, [("iss", self.oauth_request.issuer)])
