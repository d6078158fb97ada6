"""The authorization server: Authlib's grants and endpoints over our sessions and codes (OAuth 2.1, RFC 8628, 7009).

Each request gets its own server, so that grants can read the request's origin from it. This module uses only
:class:`OAuthRequest` and :class:`OAuthResponse`; ``routes`` translates to and from HTTP.
"""

# Authlib has no type annotations: the types of its results are unknown, and its methods are overridden by duck typing.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUntypedBaseClass=false, reportMissingTypeArgument=false

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE, DeviceAuthorizationEndpoint, DeviceCodeGrant

from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.identity.models import AuthorizationCode, DeviceState
from opencode_cloud.identity.service import devices
from opencode_cloud.identity.service.refresh import hash_of
from opencode_cloud.kit import foreign_json
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import base64url, new_id

if TYPE_CHECKING:
    from concurrent.futures import Future

    from opencode_cloud.identity.models import DeviceRequest, Session
    from opencode_cloud.identity.service.clients import Client, Clients
    from opencode_cloud.identity.service.devices import Devices
    from opencode_cloud.identity.service.sessions import Issued, Origin, Sessions
    from opencode_cloud.identity.store.codes import CodesStore

CODE_SECONDS = 60
"""Lifetime of an authorization code in seconds. The browser carries it straight to the client."""
WORKSPACE_PARAMETER = "supports_org_scope"
"""The parameter of clients that act in the one workspace that a person chooses while approving them."""
TRUE = "true"
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


class OAuthRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the authorization server."""

    method: str
    issuer: str
    """The address that clients use, the origin of all other addresses."""
    path: str
    parameters: Mapping[str, str]
    origin: Origin
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    reading: Future[Session | None] | None = None
    """The session of the refresh token, if :meth:`OAuth.read_ahead` began to read it."""


class OAuthResponse(msgspec.Struct, frozen=True):
    """An answer of the authorization server: a JSON document, or a redirect."""

    status: int
    document: Mapping[str, Any]
    location: str = ""


class OAuthServices:
    """The dependencies of a request's server. ``may_sign_in`` tells whether an account exists and is not blocked."""

    def __init__(
        self,
        clients: Clients,
        sessions: Sessions,
        devices: Devices,
        codes: CodesStore,
        may_sign_in: Callable[[AccountId], bool],
    ) -> None:
        self.clients = clients
        self.sessions = sessions
        self.devices = devices
        self.codes = codes
        self.may_sign_in = may_sign_in


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


def refusal(error: str, description: str, status: int = HTTPStatus.BAD_REQUEST) -> OAuthResponse:
    """Return an OAuth error."""
    return OAuthResponse(status, {"error": error, "error_description": description})


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
        self.register_grant(_AuthorizationCode, [_S256(required=True)])
        self.register_grant(_Refresh)
        self.register_grant(_Device)
        self.register_endpoint(_DeviceAuthorization)
        self.register_endpoint(_Revocation)

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


class _Issuing:
    """The common part of grants: they issue tokens of a session instead of independent tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    server: _Server
    request: Any

    def document(self, issued: Issued | None) -> dict[str, Any]:
        if issued is None:
            raise InvalidGrantError
        return {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "refresh_token": issued.refresh_token,
            **({"org_id": issued.workspace_id} if issued.workspace_id else {}),
        }

    def begin(
        self,
        account_id: AccountId,
        session_id: SessionId | None = None,
        workspace_id: WorkspaceId = WorkspaceId(""),
    ) -> dict[str, Any]:
        oauth_request, client = self.server.oauth_request, self.request.client.get_client_id()
        issued = self.server.services.sessions.begin_device(
            oauth_request.issuer, client, account_id, oauth_request.origin, session_id, workspace_id
        )
        return self.document(issued)

    def signed_in_account(self, account_id: AccountId) -> AccountId | None:
        return account_id if self.server.services.may_sign_in(account_id) else None


class _S256(CodeChallenge):
    """PKCE, by S256 only, and mandatory (OAuth 2.1)."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: list[str] = ["S256"]  # noqa: RUF012 - as Authlib declares it

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: send code_challenge, and code_challenge_method=S256.")
        super().validate_code_challenge(grant, redirect_uri)


class _Code:
    """An authorization code with the interface that Authlib expects."""

    def __init__(self, code: AuthorizationCode) -> None:
        self.code = code
        self.code_challenge = code.challenge
        # The authorization request was refused with any other method.
        self.code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return self.code.scope


class _AuthorizationCode(_Issuing, AuthorizationCodeGrant):
    def generate_authorization_code(self) -> str:
        return base64url(secrets.token_bytes(32))

    def save_authorization_code(self, code: str, request: Any) -> None:
        row = AuthorizationCode(
            id=hash_of(code),
            client=request.client.get_client_id(),
            redirect_uri=request.payload.redirect_uri,
            challenge=request.payload.data["code_challenge"],
            account_id=request.user,
            expires_at=now_seconds() + CODE_SECONDS,
        )
        self.server.services.codes.add_code(row)

    def query_authorization_code(self, code: str, client: Client) -> _Code | None:
        row = self.server.services.codes.code(hash_of(code))
        if row is None or row.client != client.id:
            return None
        if row.session_id:  # used before: the holder of the first tokens may be an attacker
            self.server.services.sessions.end(row.session_id)
            return None
        return _Code(row) if row.expires_at > now_seconds() else None

    def authenticate_user(self, authorization_code: _Code) -> AccountId | None:
        return self.signed_in_account(authorization_code.code.account_id)

    def generate_token(self, user: str, **_options: Any) -> dict[str, Any]:
        code, session_id = self.request.authorization_code.code, SessionId(new_id("sid"))
        # A concurrent exchange won. The code was used twice, so end the session of the first use as well.
        if not self.server.services.codes.exchange_code(code.id, session_id):
            first = self.server.services.codes.code(code.id)
            if first:
                self.server.services.sessions.end(first.session_id)
            raise InvalidGrantError
        return self.begin(AccountId(user), session_id)

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Keep the code until long after its expiry, so that a second use is noticed."""


class _Token:
    """A refresh token with the interface that Authlib expects."""

    def __init__(self, token: str, session: Session) -> None:
        self.token = token
        self.session = session

    def check_client(self, client: Client) -> bool:
        return self.session.client == client.id

    def get_scope(self) -> str:
        return ""


class _Refresh(_Issuing, RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> _Token | None:
        reading = self.server.oauth_request.reading
        session = self.server.services.sessions.of_refresh_token(refresh_token, reading)
        return _Token(refresh_token, session) if session else None

    def authenticate_user(self, refresh_token: _Token) -> AccountId:
        account = self.signed_in_account(refresh_token.session.account_id)
        if account is None:
            raise InvalidGrantError
        return account

    def issue_token(self, user: str, refresh_token: _Token) -> dict[str, Any]:
        del user
        issuer = self.server.oauth_request.issuer
        return self.document(self.server.services.sessions.refresh(issuer, refresh_token.token, refresh_token.session))

    def revoke_old_credential(self, refresh_token: _Token) -> None:
        """Do nothing: rotation has already revoked it."""


class _Credential:
    """A device's request with the interface that Authlib expects.

    The device code's hash stands for the user code, which is not stored.
    """

    def __init__(self, request: DeviceRequest) -> None:
        self.request = request

    def get_client_id(self) -> str:
        return self.request.client

    def get_scope(self) -> str:
        return ""

    def get_user_code(self) -> DeviceRequest:
        return self.request

    def is_expired(self) -> bool:
        return self.request.expires_at <= now_seconds()


class _Device(_Issuing, DeviceCodeGrant):
    def query_device_credential(self, device_code: str) -> _Credential:
        request = self.server.services.devices.of_device_code(device_code)
        if request is None or request.state == DeviceState.USED:
            raise InvalidGrantError
        return _Credential(request)

    def query_user_grant(self, user_code: DeviceRequest) -> tuple[str, bool] | None:
        if user_code.state == DeviceState.PENDING:
            return None
        account = self.signed_in_account(user_code.account_id) if user_code.state == DeviceState.APPROVED else None
        return (account or "", account is not None)

    def should_slow_down(self, credential: _Credential) -> bool:
        return self.server.services.devices.polls_too_fast(credential.request)

    def generate_token(self, user: str, **_options: Any) -> dict[str, Any]:
        approved: DeviceRequest = self.request.credential.request
        if not self.server.services.devices.use(approved):
            raise InvalidGrantError
        return self.begin(AccountId(user), workspace_id=approved.workspace_id)


class _DeviceAuthorization(DeviceAuthorizationEndpoint):
    CLIENT_AUTH_METHODS = ("none",)
    EXPIRES_IN = devices.EXPIRES_SECONDS
    INTERVAL = devices.INTERVAL_SECONDS
    server: _Server

    def generate_user_code(self) -> str:
        return devices.new_user_code()

    def generate_device_code(self) -> str:
        return base64url(secrets.token_bytes(32))

    def get_verification_uri(self) -> str:
        return f"{self.server.oauth_request.issuer}/device"

    def save_device_credential(self, client_id: str, scope: str | None, data: Mapping[str, Any]) -> None:
        del scope
        oauth_request = self.server.oauth_request
        self.server.services.devices.begin(
            client_id,
            data["device_code"],
            data["user_code"],
            oauth_request.origin,
            wants_workspace=oauth_request.parameters.get(WORKSPACE_PARAMETER, "") == TRUE,
        )


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ("none",)
    server: _Server

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token | None:
        del token_type_hint
        session = self.server.services.sessions.find(token_string)
        return _Token(token_string, session) if session else None

    def revoke_token(self, token: _Token, request: Any) -> None:
        del request
        self.server.services.sessions.end(token.session.id)


def parameters_of(body: bytes) -> dict[str, str]:
    """Return the parameters in a body: JSON as opencode's client writes it, or a form as RFC 6749 requires.

    The Content-Type is ignored: clients send any, or none. Parameters that are not text are left out, since a server
    ignores unknown parameters (RFC 6749 3.1), and every known one is text, but for ``supports_org_scope``. Raises
    :class:`ValueError` for a body of neither form, and for a repeated parameter.
    """
    if body.lstrip().startswith(b"{"):
        members = foreign_json.decode(body, dict[str, object])
        if members.get(WORKSPACE_PARAMETER) is True:
            members[WORKSPACE_PARAMETER] = TRUE
        return {name: value for name, value in members.items() if isinstance(value, str)}
    pairs = parse_qsl(body.decode(), keep_blank_values=False, max_num_fields=32)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise ValueError("a parameter comes twice")
    return parameters
