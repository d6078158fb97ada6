"""The three routes over an HTTP stand-in for GitHub: tokens and refusals."""

from __future__ import annotations

import base64
import hmac
import io
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from opencode_cloud.github.api import GitHubApi
from opencode_cloud.github.routes import GitHubRoutes
from opencode_cloud.github.service import Exchange
from opencode_cloud.github.workflows import WorkflowTokens
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter, RateLimitUsage
from tests.github_stand_in import GitHubStandIn, new_key, pem

EXCHANGE = "/exchange_github_app_token"
PERSONAL = "/exchange_github_app_token_with_pat"
INSTALLATION = "/get_github_app_installation"
SHOP = {"owner": "acme", "repo": "shop"}


class Unlimited(RateLimiter):
    """A limiter without limits. Limits need the deployed table, and have their own tests on it."""

    def take(self, limit: RateLimit, subject: str) -> RateLimitUsage:
        assert subject
        return RateLimitUsage(limit.requests, limit.requests, limit.seconds)


class Deployment:
    """The routes, and the operator's secret."""

    def __init__(self, github: GitHubStandIn) -> None:
        self.secret = github.secret
        self.kept: str | None = None
        exchange = Exchange(GitHubApi(github.api_url), WorkflowTokens(github.issuer), self._read, self._forget)
        self.app = HttpRoutes()
        GitHubRoutes(exchange, Unlimited("none")).mount(self.app)

    def _read(self) -> str:
        if self.kept is None:
            self.kept = self.secret
        return self.kept

    def _forget(self) -> None:
        self.kept = None

    def ask(self, method: str, path: str, bearer: str = "", body: Any = None, **query: str) -> tuple[int, Any]:
        """Send a request as clients do: without a Content-Type."""
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": urlencode(query),
            "queryStringParameters": query,
            "headers": {"host": "cloud.example"} | ({"authorization": f"Bearer {bearer}"} if bearer else {}),
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
                "stage": "$default",
                "requestId": "r",
            },
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self.app.answer(event, None)
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    with GitHubStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def deployment(github: GitHubStandIn) -> Deployment:
    return Deployment(github)


@pytest.mark.parametrize("subject", ["repo:acme/shop:ref:refs/heads/main", "repo:acme@12/shop@345:pull_request"])
def test_a_workflow_gets_a_token_for_its_repository_alone(
    github: GitHubStandIn, deployment: Deployment, subject: str
) -> None:
    status, body = deployment.ask("POST", EXCHANGE, github.identity_token(sub=subject))
    assert (status, body) == (200, {"token": github.tokens[0]})
    assert github.requests[-1] == (
        "POST",
        "/api/v3/app/installations/99/access_tokens",
        {"repositories": ["shop"]},
    )


def test_without_a_token_it_says_what_is_missing(deployment: Deployment) -> None:
    status, body = deployment.ask("POST", EXCHANGE)
    assert (status, body["error"]) == (401, "Authorization header is required")


def signed_with_public_key(claims: dict[str, Any], public: RSAPublicKey) -> str:
    """Sign with the public key as a shared secret, which PyJWT would refuse."""
    pem_form = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = public.public_bytes(serialization.Encoding.PEM, pem_form)
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + mac).decode()


def forgeries(github: GitHubStandIn) -> dict[str, str]:
    """Return identity tokens, each with one fault."""
    now = int(time.time())
    public = github.workflow_keys["one"].public_key()
    usual = jwt.decode(github.identity_token(), options={"verify_signature": False})
    unsigned = github.identity_token().split(".")
    return {
        "no token": "abc",
        "another key": github.identity_token(key=new_key()),
        "unknown key": github.identity_token(kid="two", key=new_key()),
        "no signature": ".".join([*unsigned[:2], ""]),
        "algorithm none": jwt.encode(usual, "", "none", {"kid": "one"}),
        "the public key as a secret": signed_with_public_key(usual, public),
        "another audience": github.identity_token(aud="https://github.com/acme"),
        "no audience": github.identity_token(aud=None),
        "another issuer": github.identity_token(iss="https://token.actions.githubusercontent.com"),
        "expired": github.identity_token(iat=now - 900, exp=now - 300),
        "without end": github.identity_token(exp=None),
        "not yet": github.identity_token(nbf=now + 600),
        "no subject": github.identity_token(sub=None),
        "no repository": github.identity_token(sub="environment:x", repository=None),
        "two repositories": github.identity_token(repository="acme/other"),
        "a path": github.identity_token(sub="repo:acme/../../app:x", repository=None),
    }


def test_what_is_not_a_token_of_a_workflow_for_us_is_refused(github: GitHubStandIn, deployment: Deployment) -> None:
    for name, token in forgeries(github).items():
        status, body = deployment.ask("POST", EXCHANGE, token)
        assert (status, body["error"]) == (403, "Invalid or expired token"), name
        assert not github.tokens, name


def test_the_issuers_keys_are_fetched_once_and_a_flood_of_unknown_ones_fetches_no_more(
    github: GitHubStandIn, deployment: Deployment
) -> None:
    for _ in range(3):
        assert deployment.ask("POST", EXCHANGE, github.identity_token())[0] == 200
        assert deployment.ask("POST", EXCHANGE, github.identity_token(kid="two", key=new_key()))[0] == 403
    assert len([path for _, path, _ in github.requests if path.endswith("/jwks")]) == 1


def test_a_new_key_of_the_issuer_is_found(
    github: GitHubStandIn, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deployment.ask("POST", EXCHANGE, github.identity_token())[0] == 200
    github.workflow_keys = {"two": new_key()}
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert deployment.ask("POST", EXCHANGE, github.identity_token(kid="two"))[0] == 200


def test_where_the_app_is_not_installed_the_answer_says_so(github: GitHubStandIn, deployment: Deployment) -> None:
    token = github.identity_token(sub="repo:acme/bank:x", repository="acme/bank")
    status, body = deployment.ask("POST", EXCHANGE, token)
    assert (status, body["code"]) == (404, "app_not_installed")
    assert "not installed on acme/bank" in body["error"]


def test_a_suspended_app_is_told_apart(github: GitHubStandIn, deployment: Deployment) -> None:
    github.suspended = True
    assert deployment.ask("POST", EXCHANGE, github.identity_token())[1]["code"] == "installation_suspended"


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ({"pull": True, "push": True}, 200),
        ({"pull": True, "maintain": True}, 200),
        ({"pull": True, "admin": True}, 200),
        ({"pull": True, "triage": True}, 401),
        ({}, 401),
    ],
)
def test_a_person_needs_write_access(
    github: GitHubStandIn, deployment: Deployment, permissions: dict[str, bool], status: int
) -> None:
    github.people["github_pat_1"] = {
        "admin": False,
        "maintain": False,
        "push": False,
        "triage": False,
        "pull": False,
        **permissions,
    }
    answered, body = deployment.ask("POST", PERSONAL, "github_pat_1", SHOP)
    assert answered == status
    assert next(iter(body)) == ("token" if status == 200 else "error")
    assert bool(github.tokens) == (status == 200)


def test_a_person_is_refused_alike_whatever_is_wrong(github: GitHubStandIn, deployment: Deployment) -> None:
    github.people["github_pat_1"] = {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True}
    assert deployment.ask("POST", PERSONAL, "", SHOP)[0] == 401
    assert deployment.ask("POST", PERSONAL, "github_pat_2", SHOP)[0] == 401
    unknown = deployment.ask("POST", PERSONAL, "github_pat_1", {"owner": "acme", "repo": "bank"})
    assert (unknown[0], unknown[1]["code"]) == (401, "insufficient_permission")


@pytest.mark.parametrize("body", [None, [], {"owner": "acme"}, {"owner": "../x", "repo": "y"}, {"owner": 1, "repo": 2}])
def test_a_body_that_names_no_repository_is_refused(deployment: Deployment, body: Any) -> None:
    status, answer = deployment.ask("POST", PERSONAL, "github_pat_1", body)
    assert status == 400
    assert answer["error"]


def test_the_installation_is_found_or_not(github: GitHubStandIn, deployment: Deployment) -> None:
    status, body = deployment.ask("GET", INSTALLATION, **SHOP)
    assert (status, body["installation"]["id"]) == (200, 99)
    assert deployment.ask("GET", INSTALLATION, owner="acme", repo="bank") == (200, {})
    assert deployment.ask("GET", INSTALLATION, owner="acme")[0] == 400


LIMITS = [
    (429, {"message": "Too many"}, {"retry-after": "17"}),
    (403, {"message": "API rate limit exceeded for installation ID 1."}, {"retry-after": "17"}),
    (403, {"message": "You have exceeded a secondary rate limit."}, {"retry-after": "17"}),
]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_rate_limit_of_github_is_passed_on(github: GitHubStandIn, deployment: Deployment, limit: Any) -> None:
    github.failure = limit
    for status, body in (
        deployment.ask("POST", EXCHANGE, github.identity_token()),
        deployment.ask("POST", PERSONAL, "github_pat_1", SHOP),
        deployment.ask("GET", INSTALLATION, **SHOP),
    ):
        assert (status, body["code"]) == (429, "github_rate_limited")
        assert "17 seconds" in body["error"]


@pytest.mark.parametrize("failure", [(500, {"message": "Oops"}, {}), (502, b"<html>", {"content-type": "text/html"})])
def test_a_failing_github_is_no_error_of_ours(github: GitHubStandIn, deployment: Deployment, failure: Any) -> None:
    github.failure = failure
    status, body = deployment.ask("POST", EXCHANGE, github.identity_token())
    assert (status, body["code"]) == (503, "github_unavailable")


def test_a_github_that_is_not_there(deployment: Deployment, github: GitHubStandIn) -> None:
    token = github.identity_token()
    github.__exit__()
    assert deployment.ask("POST", EXCHANGE, token)[1]["code"] == "github_unavailable"
    assert deployment.ask("GET", INSTALLATION, **SHOP)[1]["code"] == "github_unavailable"


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ("", "github_not_configured"),
        ("{}", "github_app_refused"),
        ("not JSON", "github_app_refused"),
        ('{"app_id": 1, "private_key": "short-and-secret"}', "github_app_refused"),
    ],
)
def test_a_missing_app_says_what_the_operator_must_do(
    github: GitHubStandIn, deployment: Deployment, secret: str, code: str
) -> None:
    deployment.secret = secret
    for status, body in (
        deployment.ask("POST", EXCHANGE, github.identity_token()),
        deployment.ask("GET", INSTALLATION, **SHOP),
    ):
        assert (status, body["code"]) == (503, code)
        assert "docs/github.md" in body["error"]
        assert "short-and-secret" not in body["error"]


def test_a_corrected_or_exchanged_key_of_the_app_is_taken_up(github: GitHubStandIn, deployment: Deployment) -> None:
    deployment.secret = "{}"
    assert deployment.ask("GET", INSTALLATION, **SHOP)[0] == 503
    deployment.secret = github.secret
    assert deployment.ask("GET", INSTALLATION, **SHOP)[0] == 200
    github.app_key = new_key()
    assert deployment.ask("GET", INSTALLATION, **SHOP)[1]["code"] == "github_app_refused"
    deployment.secret = json.dumps({"app_id": "4711", "private_key": pem(github.app_key)})
    assert deployment.ask("POST", EXCHANGE, github.identity_token())[0] == 200


def test_nothing_that_is_logged_holds_a_token_or_key(
    github: GitHubStandIn, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", lines)
    github.people["github_pat_1"] = {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True}
    workflow = github.identity_token()
    deployment.ask("POST", EXCHANGE, workflow)
    deployment.ask("POST", PERSONAL, "github_pat_1", SHOP)
    deployment.secret = json.dumps({"app_id": 1, "private_key": "-----BEGIN short-and-secret"})
    deployment.kept = None
    deployment.ask("POST", EXCHANGE, workflow)
    github.failure = (403, {"message": "Resource not accessible"}, {})
    deployment.secret = github.secret
    deployment.kept = None
    deployment.ask("POST", EXCHANGE, workflow)
    printed = lines.getvalue()
    assert "gave a token of the GitHub App" in printed
    for secret in (workflow.split(".")[2], "github_pat_1", "short-and-secret", *github.tokens):
        assert secret not in printed
