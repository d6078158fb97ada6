"""Access tokens: valid ones, and every known forgery."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import AccountId, SessionId
from opencode_cloud.identity.service.tokens import AccessTokens
from tests.unit.identity.signing import KeysInMemory

ISSUER = "https://cloud.example"


@pytest.fixture(scope="module")
def keys() -> KeysInMemory:
    return KeysInMemory("first", "second")


@pytest.fixture(scope="module")
def tokens(keys: KeysInMemory) -> AccessTokens:
    return AccessTokens(keys)  # pyright: ignore[reportArgumentType]


def encode(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def forged(keys: KeysInMemory, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Return a token that is signed by our own key, with other claims."""
    head = {"alg": "RS256", "kid": "first", "typ": "at+jwt"} | (header or {})
    body = {"aud": "opencode-cloud", "sid": "sid_1", "sub": "acc_1", "exp": int(time.time()) + 60} | claims
    signed = f"{encode(head)}.{encode(body)}"
    return f"{signed}.{encode(keys.sign('first', signed.encode()))}"


def test_an_issued_token_leads_to_its_session(tokens: AccessTokens) -> None:
    token = tokens.issue(ISSUER, AccountId("acc_1"), SessionId("sid_1"), "opencode-cli")
    assert tokens.session(token) == "sid_1"
    claims = decode(token, 1)
    assert claims["exp"] - claims["iat"] == 30 * 86_400
    assert {
        "iss": ISSUER,
        "aud": "opencode-cloud",
        "sub": "acc_1",
        "client_id": "opencode-cli",
    }.items() <= claims.items()


def test_the_forger_of_these_tests_can_write_a_valid_token(keys: KeysInMemory, tokens: AccessTokens) -> None:
    assert tokens.session(forged(keys)) == "sid_1"


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "JWT"}, {}),
        ({"typ": None}, {}),
        ({"kid": "third"}, {}),
        ({"kid": "second"}, {}),
        ({"kid": ["first"]}, {}),
        ({"crit": ["exp"]}, {}),
        ({}, {"aud": "opencode-cloud-of-others"}),
        ({}, {"aud": ["opencode-cloud"]}),
        ({}, {"exp": int(time.time()) - 60}),
        ({}, {"exp": "soon"}),
        ({}, {"exp": None}),
        ({}, {"sid": None}),
        ({}, {"sid": ["sid_1"]}),
    ],
)
def test_a_signed_token_that_is_not_an_access_token_of_ours_is_refused(
    keys: KeysInMemory, tokens: AccessTokens, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    assert tokens.session(forged(keys, header, **claims)) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(tokens: AccessTokens, algorithm: str) -> None:
    _, claims, _ = tokens.issue(ISSUER, AccountId("acc_1"), SessionId("sid_1"), "opencode-cli").split(".")
    head = encode({"alg": algorithm, "kid": "first", "typ": "at+jwt"})
    assert tokens.session(f"{head}.{claims}.") is None


def test_a_token_signed_with_the_public_key_as_a_password_is_refused(keys: KeysInMemory, tokens: AccessTokens) -> None:
    _, claims, _ = tokens.issue(ISSUER, AccountId("acc_1"), SessionId("sid_1"), "opencode-cli").split(".")
    signed = f"{encode({'alg': 'HS256', 'kid': 'first', 'typ': 'at+jwt'})}.{claims}"
    for password in (keys.pem("first"), keys.pem("first").strip(), keys.public("first") or b""):
        digest = hmac.new(password, signed.encode(), hashlib.sha256).digest()
        assert tokens.session(f"{signed}.{encode(digest)}") is None


def test_a_key_that_comes_with_the_token_is_not_used(keys: KeysInMemory, tokens: AccessTokens) -> None:
    stranger = KeysInMemory("first")
    own = AccessTokens(stranger).key_set()["keys"][0]  # pyright: ignore[reportArgumentType]
    assert tokens.session(forged(stranger, {"jwk": own})) is None
    assert tokens.session(forged(stranger, {"jku": "https://stranger.example/jwks.json"})) is None


@given(position=st.integers(min_value=0), replacement=st.characters(codec="ascii"))
def test_a_changed_token_is_refused(keys: KeysInMemory, tokens: AccessTokens, position: int, replacement: str) -> None:
    token = forged(keys)
    at = position % len(token)
    changed = token[:at] + replacement + token[at + 1 :]
    if decoded(changed) != decoded(token):
        assert tokens.session(changed) is None


def decoded(token: str) -> list[bytes] | None:
    """Return the decoded parts of a token. Different texts can be equal: a part's last character has unused bits."""
    try:
        return [base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True) for part in token.split(".")]
    except ValueError:
        return None


@given(text=st.text())
def test_no_text_is_a_token(tokens: AccessTokens, text: str) -> None:
    assert tokens.session(text) is None


def test_tokens_of_the_old_key_are_valid_after_a_rotation(keys: KeysInMemory, tokens: AccessTokens) -> None:
    before = tokens.issue(ISSUER, AccountId("acc_1"), SessionId("sid_1"), "opencode-cli")
    keys.signs = "second"
    after = tokens.issue(ISSUER, AccountId("acc_1"), SessionId("sid_2"), "opencode-cli")
    keys.signs = "first"
    assert (decode(before, 0)["kid"], decode(after, 0)["kid"]) == ("first", "second")
    assert (tokens.session(before), tokens.session(after)) == ("sid_1", "sid_2")


def test_the_published_keys_verify_tokens_and_hold_nothing_private(tokens: AccessTokens) -> None:
    published = tokens.key_set()
    assert [key["kid"] for key in published["keys"]] == ["first", "second"]
    assert all(set(key) == {"kty", "n", "e", "kid", "use", "alg"} for key in published["keys"])
    token = tokens.issue(ISSUER, AccountId("acc_1"), SessionId("sid_1"), "opencode-cli")
    key = jwt.PyJWKSet.from_dict(published)["first"]
    assert jwt.decode(token, key, algorithms=["RS256"], audience="opencode-cloud")["sid"] == "sid_1"
