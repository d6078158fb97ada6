"""Access tokens: JWTs (RFC 9068) that KMS signs with RS256, and their verification in every plane.

A token names its session. Every use looks up whether the session is still valid (docs/decisions/012).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import AccountId, SessionId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import base64url

if TYPE_CHECKING:
    from joserfc.jwk import GuestProtocol, RSAKey

    from opencode_cloud.identity.store.keys import SigningKeys

ALGORITHM = "RS256"
TYPE = "at+jwt"
AUDIENCE = "opencode-cloud"
ACCESS_TOKEN_SECONDS = 30 * 86_400
"""The lifetime in seconds. A client keeps the token that it started with for as long as it runs."""
LEEWAY_SECONDS = 5
LONGEST_TOKEN = 4096
"""Longest accepted token in characters. Tokens of this deployment have some 700."""


class AccessTokens:
    """Issues and verifies access tokens.

    joserfc is imported at the first token, so a function that starts for a request without one does not load it.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._parsed: dict[str, RSAKey] = {}

    def issue(
        self,
        issuer: str,
        account_id: AccountId,
        session_id: SessionId,
        client: str,
        seconds: int = ACCESS_TOKEN_SECONDS,
    ) -> str:
        """Return a new token of ``session_id``, signed by the active key."""
        key, now = self._keys.active(), now_seconds()
        header = {"alg": ALGORITHM, "kid": key, "typ": TYPE}
        claims = {
            "iss": issuer,
            "aud": AUDIENCE,
            "sub": account_id,
            "sid": session_id,
            "client_id": client,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
        }
        signed = ".".join(base64url(msgspec.json.encode(part)) for part in (header, claims))
        return f"{signed}.{base64url(self._keys.sign(key, signed.encode()))}"

    def session(self, token: str) -> str | None:
        """Return the id of the session of ``token``; None for anything but a valid token of this deployment.

        This is a ``TokenSession`` of ``access.service``.
        """
        claims = self.verify(token)
        return claims["sid"] if claims else None

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a valid token of this deployment, else None.

        The algorithm is fixed: a different algorithm in the token's header only makes the token invalid.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError

        # Anyone can send a token, so limit the work before parsing it.
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            parsed = jwt.decode(token, self._find, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            return None
        claims = parsed.claims
        if parsed.header.get("typ") != TYPE or claims.get("aud") != AUDIENCE:
            return None
        expires, session = claims.get("exp"), claims.get("sid")
        if not isinstance(expires, int) or expires + LEEWAY_SECONDS <= now_seconds() or not isinstance(session, str):
            return None
        return claims

    def key_set(self) -> dict[str, Any]:
        """Return the JWKS: every key that may have signed a token that is still valid."""
        keys = [self._parse(key).as_dict(private=False) for key in self._keys.ids]
        return {"keys": [{**each, "use": "sig", "alg": ALGORITHM} for each in keys]}

    def _find(self, token: GuestProtocol) -> RSAKey:
        return self._parse(str(token.headers().get("kid", "")))

    def _parse(self, key: str) -> RSAKey:
        from joserfc.jwk import RSAKey

        # The public key under an id never changes.
        if key not in self._parsed:
            public = self._keys.public(key)
            if public is None:
                raise ValueError("no key of this deployment has this id")
            self._parsed[key] = RSAKey.import_key(public, {"kid": key})
        return self._parsed[key]
