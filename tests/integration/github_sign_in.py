"""A stand-in for GitHub's sign-in on loopback, for one user at a time."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


class GitHubSignIn:
    """Set ``user`` and ``emails`` to GitHub's answers about the person who signs in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.user: dict[str, Any] = {"id": 583231, "login": "octocat", "name": "Mona"}
        self.emails: list[dict[str, Any]] = []
        self.codes: dict[str, str] = {}
        self.tokens: set[str] = set()

    def settings(self) -> dict[str, str]:
        return {"client_id": "github-app", "client_secret": "github-secret", "url": self.url, "api_url": self.url}


@contextmanager
def github_sign_in() -> Iterator[GitHubSignIn]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/login/oauth/authorize":
                code = secrets.token_hex(10)
                github.codes[code] = asked["code_challenge"]
                answer = urlencode({"code": code, "state": asked["state"]})
                return self.reply(302, b"", Location=f"{asked['redirect_uri']}?{answer}")
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in github.tokens:
                return self.reply(401, b"{}")
            found = {"/user": github.user, "/user/emails": github.emails}[parts.path]
            return self.reply(200, json.dumps(found).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
            known = github.codes.pop(asked.get("code", ""), None)
            if known != urlsafe_b64encode(digest).rstrip(b"=").decode() or asked["client_secret"] != "github-secret":
                return self.reply(200, json.dumps({"error": "bad_verification_code"}).encode())
            token = secrets.token_hex(20)
            github.tokens.add(token)
            return self.reply(200, json.dumps({"access_token": token, "token_type": "bearer", "scope": ""}).encode())

        def reply(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github = GitHubSignIn(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
