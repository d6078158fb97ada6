"""The grants and endpoints of the authorization server: Authlib's, over our sessions, codes and devices."""

# Authlib has no type annotations: the types of its results are unknown, and its methods are overridden by duck typing.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportIncompatibleMethodOverride=false
# pyright: reportIncompatibleVariableOverride=false, reportUntypedBaseClass=false, reportMissingTypeArgument=false

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant

from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.identity.models import AuthorizationCode, DeviceState
from opencode_cloud.identity.service import devices
from opencode_cloud.identity.service.exchanges import TRUE, WORKSPACE_PARAMETER
from opencode_cloud.identity.service.refresh import hash_of
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import base64url, new_id

if TYPE_CHECKING:
    from opencode_cloud.identity.models import DeviceRequest, Session
    from opencode_cloud.identity.service.clients import Client
    from opencode_cloud.identity.service.exchanges import OAuthRequest, OAuthServices
    from opencode_cloud.identity.service.sessions import Issued

CODE_SECONDS = 60
"""Lifetime of an authorization code in seconds. The browser carries it straight to the client."""


class GrantServer(Protocol):
    """The server of a request, as grants and endpoints know it."""

    services: OAuthServices
    oauth_request: OAuthRequest


def register(server: AuthorizationServer) -> None:
    """Let ``server``, a :class:`GrantServer`, give its grants and serve its endpoints."""
    server.register_grant(_AuthorizationCode, [_S256(required=True)])
    server.register_grant(_Refresh)
    server.register_grant(_Device)
    server.register_endpoint(_DeviceAuthorization)
    server.register_endpoint(_Revocation)


class _Issuing:
    """The common part of grants: they issue tokens of a session instead of independent tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    server: GrantServer
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
    server: GrantServer

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
    server: GrantServer

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Token | None:
        del token_type_hint
        session = self.server.services.sessions.find(token_string)
        return _Token(token_string, session) if session else None

    def revoke_token(self, token: _Token, request: Any) -> None:
        del request
        self.server.services.sessions.end(token.session.id)
