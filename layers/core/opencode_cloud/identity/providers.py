"""Sign-in at providers: OpenID Connect, and GitHub's own OAuth, through Authlib's client."""

# Authlib has no type annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

from opencode_cloud.contracts.names import shown_name
from opencode_cloud.identity.id_tokens import claims_of
from opencode_cloud.identity.models import VerifiedPerson
from opencode_cloud.identity.service.methods import Method, MethodKind
from opencode_cloud.kit.errors import Forbidden, Unavailable
from opencode_cloud.kit.log import logger

TIMEOUT_SECONDS = 8


class Providers:
    """One sign-in takes two calls: :meth:`begin`, and :meth:`finish` when the browser returns from the provider."""

    def begin(self, method: Method, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return the address to redirect the browser to. Raises ``provider_unavailable`` (503)."""
        if method.kind is MethodKind.GITHUB:
            address, extra = f"{method.url}/login/oauth/authorize", {}
        else:
            address, extra = self._metadata(method)["authorization_endpoint"], {"nonce": nonce}
        session = _session(method, redirect_uri)
        url, _ = session.create_authorization_url(address, state=state, code_verifier=verifier, **extra)
        return url

    def finish(self, method: Method, redirect_uri: str, code: str, nonce: str, verifier: str) -> VerifiedPerson:
        """Return the person that the provider reports, with a verified address.

        Raises ``provider_unavailable`` (503), ``provider_refused`` (403), ``address_not_verified`` (403).
        """
        session = _session(method, redirect_uri)
        try:
            if method.kind is MethodKind.GITHUB:
                return self._github(method, session, code, verifier)
            return self._oidc(method, session, code, nonce, verifier)
        except requests.RequestException as error:
            raise _unavailable(method, error) from error
        except (AuthlibBaseError, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            logger.warning(
                "a provider's answer is refused", extra={"provider": method.name, "error": repr(error)[:200]}
            )
            raise Forbidden("provider_refused", f"{method.shown} did not confirm who you are. Try again.") from error

    def _oidc(self, method: Method, session: Any, code: str, nonce: str, verifier: str) -> VerifiedPerson:
        metadata = self._metadata(method)
        token = session.fetch_token(
            metadata["token_endpoint"], code=code, code_verifier=verifier, timeout=TIMEOUT_SECONDS
        )
        keys = _json(requests.get(metadata["jwks_uri"], timeout=TIMEOUT_SECONDS))["keys"]
        claims = claims_of(token["id_token"], keys, metadata["issuer"], method.client_id, token.get("access_token"))
        if claims.get("nonce") != nonce:
            raise ValueError("the ID token is for another sign-in")
        person: Mapping[str, Any] = claims
        if "email" not in person and "userinfo_endpoint" in metadata:
            user_info = _json(session.get(metadata["userinfo_endpoint"], timeout=TIMEOUT_SECONDS))
            if user_info.get("sub") != claims["sub"]:
                raise ValueError("the user info belongs to another person")
            person = {**user_info, **person}
        verified = method.trust_email or person.get("email_verified") is True
        return _verified(method, str(claims["sub"]), person.get("email"), person.get("name"), verified=verified)

    def _github(self, method: Method, session: Any, code: str, verifier: str) -> VerifiedPerson:
        session.fetch_token(
            f"{method.url}/login/oauth/access_token",
            code=code,
            code_verifier=verifier,
            headers={"Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )
        user = _json(session.get(f"{method.api_url}/user", timeout=TIMEOUT_SECONDS))
        emails = _json(session.get(f"{method.api_url}/user/emails", timeout=TIMEOUT_SECONDS))
        primary = next((address for address in emails if address["primary"]), {})
        name = user.get("name") or user["login"]
        return _verified(method, str(user["id"]), primary.get("email"), name, verified=primary.get("verified") is True)

    def _metadata(self, method: Method) -> Mapping[str, Any]:
        """Return the issuer's discovery document, which must name this issuer."""
        address = f"{method.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            metadata = _json(requests.get(address, timeout=TIMEOUT_SECONDS))
        except (requests.RequestException, ValueError) as error:
            raise _unavailable(method, error) from error
        if metadata.get("issuer", "").rstrip("/") != method.issuer.rstrip("/"):
            raise _unavailable(method, ValueError("the discovery document names another issuer"))
        return metadata


def _session(method: Method, redirect_uri: str) -> Any:
    scope = "read:user user:email" if method.kind is MethodKind.GITHUB else "openid email profile"
    return OAuth2Session(
        method.client_id,
        method.client_secret or None,
        scope=scope,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_post" if method.client_secret else "none",
        default_timeout=TIMEOUT_SECONDS,
    )


def _json(response: requests.Response) -> Any:
    response.raise_for_status()
    return response.json()


def _verified(method: Method, subject: str, email: Any, name: Any, *, verified: bool) -> VerifiedPerson:
    if not verified or not isinstance(email, str) or "@" not in email:
        raise Forbidden(
            "address_not_verified", f"{method.shown} has no verified address of yours. Verify it there, and try again."
        )
    return VerifiedPerson(provider=method.name, subject=subject, email=email, name=shown_name(str(name or "")))


def _unavailable(method: Method, error: Exception) -> Unavailable:
    logger.warning("a provider does not answer", extra=_named(method, error))
    return Unavailable("provider_unavailable", f"{method.shown} does not answer. Try again in a minute.")


def _named(method: Method, error: Exception) -> dict[str, str]:
    return {"provider": method.name, "error": repr(error)[:200]}
