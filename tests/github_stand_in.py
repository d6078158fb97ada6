"""A stand-in for GitHub in the exchange, over HTTP on loopback: the issuer's keys, the App's routes, a repository."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

Answer = tuple[int, Any, dict[str, str]]
APP_ID = 4711
INSTALLATION = 99


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    """Return a private key in GitHub's form (PKCS #1)."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@dataclass
class GitHubStandIn:
    """One GitHub. Change its fields to change its answers. ``requests`` records the requests."""

    app_key: rsa.RSAPrivateKey = field(default_factory=new_key)
    workflow_keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {"one": new_key()})
    installed: set[str] = field(default_factory=lambda: {"acme/shop", "acme/other"})
    suspended: bool = False
    people: dict[str, dict[str, bool]] = field(default_factory=dict)
    """The role of each personal token in every repository."""
    failure: Answer | None = None
    """The answer to every API request while it is set."""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_url(self) -> str:
        """Return the URL of the API, in the form of an Enterprise Server."""
        return f"{self.url}/api/v3"

    @property
    def issuer(self) -> str:
        return f"{self.url}/_services/token"

    @property
    def secret(self) -> str:
        """Return the App's credentials as an operator stores them."""
        return json.dumps({"app_id": APP_ID, "private_key": pem(self.app_key)})

    def identity_token(self, kid: str = "one", key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        """Return the identity token of a workflow of acme/shop. A claim that is None is omitted."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": "opencode-github-action",
            "sub": "repo:acme/shop:ref:refs/heads/main",
            "repository": "acme/shop",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now - 300,
            "exp": now + 300,
        }
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(said, key or self.workflow_keys[kid], algorithm, headers={"kid": kid})

    def answer(self, method: str, path: str, authorization: str, body: Any) -> Answer:
        self.requests.append((method, path, body))
        if path == "/_services/token/.well-known/jwks":
            return self._keys()
        if self.failure:
            return self.failure
        routes: dict[str, Callable[..., Answer]] = {
            r"GET /api/v3/repos/([^/]+/[^/]+)/installation": self._installation,
            rf"POST /api/v3/app/installations/{INSTALLATION}/access_tokens": self._token,
            r"GET /api/v3/repos/([^/]+/[^/]+)": self._repository,
        }
        for pattern, route in routes.items():
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return route(authorization, body, *match.groups())
        return _not_found()

    def _keys(self) -> Answer:
        keys = []
        for kid, key in self.workflow_keys.items():
            known = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
            keys.append({**known, "kid": kid, "use": "sig", "alg": "RS256"})
        return 200, {"keys": keys}, {}

    def _is_app(self, authorization: str) -> bool:
        """Check an App's token by GitHub's rules: RS256 by the App's key, valid for at most 10 minutes."""
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), self.app_key.public_key(), algorithms=["RS256"], leeway=60
            )
        except jwt.PyJWTError:
            return False
        return str(claims["iss"]) == str(APP_ID) and claims["exp"] - time.time() <= 600

    def _installation(self, authorization: str, _body: Any, repository: str) -> Answer:
        if not self._is_app(authorization):
            return 401, {"message": "A JSON web token could not be decoded"}, {}
        if repository.lower() not in self.installed:
            return _not_found()
        return 200, self._installed(), {}

    def _installed(self) -> dict[str, Any]:
        return {
            "id": INSTALLATION,
            "account": {"login": "acme", "id": 1, "type": "Organization"},
            "app_id": APP_ID,
            "app_slug": "acme-opencode",
            "repository_selection": "selected",
            "access_tokens_url": f"{self.api_url}/app/installations/{INSTALLATION}/access_tokens",
            "suspended_at": "2026-01-01T00:00:00Z" if self.suspended else None,
        }

    def _token(self, authorization: str, body: Any) -> Answer:
        if not self._is_app(authorization):
            return 401, {"message": "A JSON web token could not be decoded"}, {}
        wanted = (body or {}).get("repositories")
        if not wanted or any(f"acme/{name}".lower() not in self.installed for name in wanted):
            return 422, {"message": "There is at least one repository that does not exist or is not accessible"}, {}
        self.tokens.append(f"ghs_{uuid.uuid4().hex}")
        return 201, {"token": self.tokens[-1], "expires_at": "2036-01-01T00:00:00Z", "permissions": {}}, {}

    def _repository(self, authorization: str, _body: Any, repository: str) -> Answer:
        person = self.people.get(authorization.partition(" ")[2])
        if person is None:
            return 401, {"message": "Bad credentials"}, {}
        if repository.lower() not in self.installed:
            return _not_found()
        name = repository.partition("/")[2]
        return 200, {"id": 7, "name": name, "full_name": repository, "permissions": person}, {}


def _not_found() -> Answer:
    return 404, {"message": "Not Found", "status": "404"}, {}


def _handler(github: GitHubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            sent = self.rfile.read(length)
            authorization = self.headers.get("authorization", "")
            status, body, headers = github.answer(
                self.command, self.path, authorization, json.loads(sent) if sent else None
            )
            packed = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    return Handler


@contextmanager
def asked_by(stack: Any) -> Generator[GitHubStandIn]:
    """Run a stand-in, and point the deployed function to it as an operator does."""
    vault, arn = stack.client("secretsmanager"), stack.outputs["GitHubAppSecretArn"]
    before = vault.get_secret_value(SecretId=arn)["SecretString"]
    with GitHubStandIn() as github, _configured(stack, github):
        vault.put_secret_value(SecretId=arn, SecretString=github.secret)
        try:
            yield github
        finally:
            # Without it, requests of other tests would make the function fetch keys from the real GitHub.
            vault.put_secret_value(SecretId=arn, SecretString=before)


@contextmanager
def _configured(stack: Any, github: GitHubStandIn) -> Generator[None]:
    """Deploy the function with other settings, as a new version behind its alias; restore the old one at the end."""
    client = stack.client("lambda")
    name = stack.outputs["GithubFunctionName"]
    before = client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    known = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    chosen = {"GITHUB_API_URL": github.api_url, "GITHUB_OIDC_ISSUER": github.issuer}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": known | chosen})
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": known})
        client.update_alias(FunctionName=name, Name="live", FunctionVersion=before)
