"""ID tokens of providers: valid ones, and every known way to present another token."""

import hashlib
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from opencode_cloud.identity.id_tokens import claims_of
from opencode_cloud.kit.ids import base64url

ISSUER, CLIENT, ACCESS = "https://issuer.example", "our-client", "the-access-token"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(65537, 2048)
KEYS: list[dict[str, Any]] = [
    {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa"},
    {**ECAlgorithm(ECAlgorithm.SHA256).to_jwk(EC.public_key(), as_dict=True), "kid": "ec", "use": "sig"},
]
AT_HASH = base64url(hashlib.sha256(ACCESS.encode()).digest()[:16])


def token(key: Any = RSA, algorithm: str = "RS256", key_id: str | None = "rsa", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 60} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, {"kid": key_id} if key_id else None)


def subject(id_token: str, keys: list[dict[str, Any]] = KEYS) -> str:
    return claims_of(id_token, keys, ISSUER, CLIENT, ACCESS)["sub"]


@pytest.mark.parametrize(
    "id_token",
    [
        token(),
        token(algorithm="PS256"),
        token(EC, "ES256", "ec"),
        token(at_hash=AT_HASH),
        token(azp=CLIENT),
        token(aud=[CLIENT]),
        token(aud=[CLIENT, "another"], azp=CLIENT),
        token(exp=int(time.time()) - 30),
    ],
)
def test_a_token_of_the_issuer_for_us_is_accepted(id_token: str) -> None:
    assert subject(id_token) == "1"


def test_a_token_may_leave_out_the_only_key() -> None:
    assert subject(token(key_id=None), KEYS[:1]) == "1"
    with pytest.raises(ValueError, match="no key"):
        subject(token(key_id=None))


@pytest.mark.parametrize(
    "id_token",
    [
        token(STRANGER),
        token(key_id="unknown"),
        token(EC, "ES256", "rsa"),
        token("", "none"),
        token("a password of at least thirty-two bytes", "HS256"),
        token(aud="another"),
        token(aud=["another"]),
        token(aud=[CLIENT, "another"]),
        token(azp="another"),
        token(iss="https://another.example"),
        token(exp=int(time.time()) - 90),
        token(exp=None),
        token(iat=None),
        token(sub=None),
        token(at_hash="another"),
        "",
        "no.token.at-all",
    ],
)
def test_any_other_token_is_refused(id_token: str) -> None:
    with pytest.raises((jwt.PyJWTError, ValueError, KeyError, TypeError)):
        subject(id_token)


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}])
def test_a_key_for_another_purpose_verifies_nothing(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no key"):
        subject(token(), [KEYS[0] | change])
