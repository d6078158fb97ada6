"""Access tokens: JWTs (RFC 9068) that KMS signs with RS256, and their verification in every plane.

A token names its session. Every use looks up whether the session is still valid (docs/decisions/012).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import msgspec

from opencode_cloud.contracts.ids import AccountId, SessionId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

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

    PyJWT is imported at the first token, so a function that starts for a request without one does not load it.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._parsed: dict[str, RSAPublicKey] = {}

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
            "jti": os.urandom(8).hex(),
        }
        signed = ".".join(base64url(msgspec.json.encode(part)) for part in (header, claims))
        return f"{signed}.{base64url(self._keys.sign(key, signed.encode()))}"

    def session(self, token: str) -> SessionId | None:
        """Return the id of the session of ``token``; None for anything but a valid token of this deployment.

        This is a ``TokenSession`` of ``access.service``.
        """
        claims = self.verify(token)
        return claims["sid"] if claims else None

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a valid token of this deployment, else None.

        The algorithm is fixed: a different algorithm in the token's header only makes the token invalid.
        """
        import jwt

        # Anyone can send a token, so limit the work before parsing it.
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            parsed = jwt.decode_complete(
                token,
                self._public(str(jwt.get_unverified_header(token).get("kid", ""))),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                # `iat` is not checked: the clocks of two functions may differ by more than the leeway.
                options={"require": ["exp", "sid"], "strict_aud": True, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        claims: dict[str, Any] = parsed["payload"]
        return claims if parsed["header"].get("typ") == TYPE and isinstance(claims["sid"], str) else None

    def key_set(self) -> dict[str, Any]:
        """Return the JWKS: every key that may have signed a token that is still valid."""
        return {"keys": [self._jwk(key) for key in self._keys.ids]}

    def _jwk(self, key_id: str) -> dict[str, Any]:
        from jwt.algorithms import RSAAlgorithm

        jwk = RSAAlgorithm.to_jwk(self._public(key_id), as_dict=True)
        return {"kty": jwk["kty"], "n": jwk["n"], "e": jwk["e"], "kid": key_id, "use": "sig", "alg": ALGORITHM}

    def _public(self, key_id: str) -> RSAPublicKey:
        """Return a public key of this deployment. Raises ValueError for any other id."""
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        # The public key under an id never changes.
        if key_id not in self._parsed:
            encoded = self._keys.public(key_id)
            if encoded is None:
                raise ValueError("no key of this deployment has this id")
            self._parsed[key_id] = cast("RSAPublicKey", load_der_public_key(encoded))
        return self._parsed[key_id]
