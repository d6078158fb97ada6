"""ID tokens of providers: valid ones, and every known way to present another token."""

import hashlib
import time
from collections.abc import Callable
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
    "make_token",
    [
        lambda: token(),
        lambda: token(algorithm="PS256"),
        lambda: token(EC, "ES256", "ec"),
        lambda: token(at_hash=AT_HASH),
        lambda: token(azp=CLIENT),
        lambda: token(aud=[CLIENT]),
        lambda: token(aud=[CLIENT, "another"], azp=CLIENT),
        lambda: token(exp=int(time.time()) - 30),
    ],
)
def test_a_token_of_the_issuer_for_us_is_accepted(make_token: Callable[[], str]) -> None:
    assert subject(make_token()) == "1"


def test_a_token_may_leave_out_the_only_key() -> None:
    assert subject(token(key_id=None), KEYS[:1]) == "1"
    with pytest.raises(ValueError, match="no key"):
        subject(token(key_id=None))


@pytest.mark.parametrize(
    "make_token",
    [
        lambda: token(STRANGER),
        lambda: token(key_id="unknown"),
        lambda: token(EC, "ES256", "rsa"),
        lambda: token("", "none"),
        lambda: token("a password of at least thirty-two bytes", "HS256"),
        lambda: token(aud="another"),
        lambda: token(aud=["another"]),
        lambda: token(aud=[CLIENT, "another"]),
        lambda: token(azp="another"),
        lambda: token(iss="https://another.example"),
        lambda: token(exp=int(time.time()) - 90),
        lambda: token(exp=None),
        lambda: token(iat=None),
        lambda: token(sub=None),
        lambda: token(at_hash="another"),
        lambda: "",
        lambda: "no.token.at-all",
    ],
)
def test_any_other_token_is_refused(make_token: Callable[[], str]) -> None:
    with pytest.raises((jwt.PyJWTError, ValueError, KeyError, TypeError)):
        subject(make_token())


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}])
def test_a_key_for_another_purpose_verifies_nothing(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no key"):
        subject(token(), [KEYS[0] | change])
