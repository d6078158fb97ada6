"""Verify ID tokens of OpenID Connect providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from opencode_cloud.kit.ids import base64url

ALGORITHMS = ("RS256", "PS256", "ES256", "RS384", "ES384", "RS512", "ES512", "EdDSA")
"""The accepted algorithms of ID tokens: all are signatures, by a key that only the issuer has."""
LEEWAY_SECONDS = 60


def claims_of(
    id_token: str, keys: list[dict[str, Any]], issuer: str, client_id: str, access_token: str | None
) -> dict[str, Any]:
    """Return the claims of an ID token: signed by the issuer, for this client, in time (OpenID Connect Core 3.1.3.7).

    Raises ``jwt.PyJWTError``; ValueError when no key fits, or the token is for another client or access token.
    """
    header = jwt.get_unverified_header(id_token)
    key = _key_of(header, keys)
    claims = jwt.decode(
        id_token,
        key,
        algorithms=[header["alg"]],
        issuer=issuer,
        audience=client_id,
        leeway=LEEWAY_SECONDS,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    audience: str | list[str] = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise ValueError("the ID token is for another client")
    if access_token and "at_hash" in claims:
        digest = key.Algorithm.compute_hash_digest(access_token.encode())
        if claims["at_hash"] != base64url(digest[: len(digest) // 2]):
            raise ValueError("the ID token belongs to another access token")
    return claims


def _key_of(header: Mapping[str, Any], keys: list[dict[str, Any]]) -> jwt.PyJWK:
    algorithm = header["alg"]
    # OpenID Connect Core 10.1: a token may leave its key's id out when the issuer has only one.
    key_id = header.get("kid", keys[0].get("kid") if len(keys) == 1 else "")
    for key in keys:
        fits = key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
        if algorithm in ALGORITHMS and fits and key.get("kid") == key_id:
            return jwt.PyJWK(key, algorithm)
    raise ValueError("no key of the issuer fits the ID token")
